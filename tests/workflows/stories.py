"""One order's story: what customer, warehouse, carrier, provider, operator and time do about it, and workers that die,
in any sequence, and its end.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError, WorkflowUpdateHandle
from temporalio.client import WorkflowUpdateStage as Stage
from temporalio.service import RPCError

from domain.events import EventType
from domain.fulfilment import ParcelStatus
from domain.orders import FINAL_STATUSES, OrderStatus
from schemas.checkout import CancelledLine
from schemas.fulfilment import ParcelOutcome
from schemas.order_requests import CancelOrder, SettleCompensation, SettleParcel
from schemas.payments import RetryPayment
from schemas.picking import ParcelPicked, PickedLine, PickParcel
from tests.workflows.carrier import CarrierControl
from tests.workflows.deaths import Deaths, Moment
from tests.workflows.lost_orders import Adopt, lose
from tests.workflows.orders import Order
from tests.workflows.provider import Authenticate, Fault, MakeFault
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import Handle, current_details, execution_status, until, until_quiet
from workflows.orders.checkout import CheckoutWorkflow
from workflows.parcels.fulfilment import FulfilmentWorkflow

P = ParcelStatus
STAFF = "staff:test"
PATIENCE_SECONDS = 240
_QUIET_SECONDS = 3
_WITHOUT_PARCELS = (OrderStatus.AWAITING_PAYMENT, OrderStatus.ON_HOLD)
PICKED_AT = "ROT"  # the warehouse that has its picks confirmed
_REFUSED = (WorkflowUpdateFailedError, RPCError)  # it was too late, or is not the moment


@dataclass(frozen=True)
class Step:
    """What somebody does, with what: printed, it is a line of the story, and can be played again."""

    what: str
    parcel: int = 1
    line: int = 0
    units: int = 1
    detail: str = ""


@dataclass
class Story:
    """An order, and everybody who may do something about it."""

    order: Order
    carrier: CarrierControl
    provider_fault: MakeFault
    authenticate: Authenticate
    deaths: Deaths
    adopt: Adopt
    updates: list[WorkflowUpdateHandle[Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    async def begin(self, *, booked: bool) -> None:
        """Until it is placed, because what comes before that is no story of an order, or until its parcels are booked
        or wait for their pick, unless it waits for its payment.
        """
        await until(self.order.recorded)

        def begun() -> bool:
            view = self.order.view()
            return view.status in (*_WITHOUT_PARCELS, *FINAL_STATUSES) or all(
                parcel.status is P.BOOKED or parcel.warehouse == PICKED_AT for parcel in view.parcels
            )

        if booked:
            await until(begun)

    async def play(self, step: Step) -> None:
        """Do it once everything is quiet, if it can be done now; nobody waits for the answer.

        The time-skipping server cannot do with what races a call or a timer (see `time_skipping`): that is left to the
        fault matrix.
        """
        if not await self._quiet() and step.what in ("pass", "lose"):
            return
        play: Callable[[Step], Awaitable[None]] = getattr(self, f"_{step.what}")
        with suppress(*_REFUSED):
            await play(step)

    async def finish(self) -> None:
        """Nothing goes wrong any more, everybody does what is asked of them, and the order ends."""
        self.carrier.end_faults()
        self.deaths.end()
        for fault in self.faults[-1:]:
            fault.end()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._complete_all()
        except TimeoutError:
            raise AssertionError(await self._shown()) from None
        for update in self.updates:
            with suppress(*_REFUSED):
                await update.result()

    # --- the customer

    async def _cancel(self, step: Step) -> None:
        await self._ask(CheckoutWorkflow.cancel, CancelOrder(actor="customer:test", reason="changed my mind"))

    async def _cancel_line(self, step: Step) -> None:
        lines = self.order.input.lines
        line = CancelledLine(sku=lines[step.line % len(lines)].sku, quantity=step.units)
        request = CancelOrder(actor="customer:test", reason="one too many", lines=[line])
        await self._ask(CheckoutWorkflow.cancel, request)

    async def _pay(self, step: Step) -> None:
        if self.order.view().payment_action is not None:
            with suppress(httpx2.HTTPStatusError):  # it is decided already
                self.authenticate(self.order.intent(), step.detail or "succeeded")
            await self.order.provider_event()
        else:
            await self._ask(CheckoutWorkflow.retry_payment, RetryPayment(payment_method="pm_card_visa"))

    # --- the warehouse

    async def _pick(self, step: Step) -> None:
        """Staff have picked a parcel; so many units of one of its lines were missing."""
        for parcel in self.order.view().parcels:
            if parcel.number == step.parcel and parcel.lines:
                short = parcel.lines[step.line % len(parcel.lines)]
                units = {line.sku: line.quantity for line in parcel.lines}
                units[short.sku] = max(0, short.quantity - step.units)
                lines = [PickedLine(sku=sku, quantity=quantity) for sku, quantity in units.items()]
                handle, pick = self.order.parcel(step.parcel), PickParcel(lines=lines, actor=STAFF)
                update = await handle.start_update(FulfilmentWorkflow.pick, pick, wait_for_stage=Stage.ACCEPTED)
                self.updates.append(update)

    # --- the carrier

    async def _report(self, step: Step) -> None:
        """The parcel moves on, and the event arrives."""
        if self._moves(step):
            await self.order.carrier_event(P(step.detail), step.parcel)

    async def _move_unseen(self, step: Step) -> None:
        """The parcel moves on, and the event is lost."""
        self._moves(step)

    async def _repeat(self, step: Step) -> None:
        """An event comes again, or late."""
        if step.detail in self.carrier.statuses(self.order.id, step.parcel):
            await self.order.carrier_event(P(step.detail), step.parcel)

    async def _carrier_fails(self, step: Step) -> None:
        kind, operation = step.detail.split()
        self.carrier.arm(kind, match={"operation": operation}, times=step.units)

    # --- the provider, time, workers, and the operator

    async def _provider_fails(self, step: Step) -> None:
        kind, operation = step.detail.split()
        self.faults.append(self.provider_fault(kind, operation, step.units))

    async def _pass(self, step: Step) -> None:
        await skip(self.order.client, timedelta(hours=int(step.detail)))

    async def _die(self, step: Step) -> None:
        self.deaths.arm(Moment(step.detail), after=step.units)

    async def _lose(self, step: Step) -> None:
        """The order's workflow is terminated by mistake; those of its payment and parcels go on, or are as well."""
        if await execution_status(self.order.handle) is WorkflowExecutionStatus.RUNNING:
            await lose(self.order, with_children=step.units > 1)

    async def _adopt(self, step: Step) -> None:
        if await execution_status(self.order.handle) is WorkflowExecutionStatus.TERMINATED:
            await self.adopt(self.order)

    async def _cancel_in_the_web_ui(self, step: Step) -> None:
        await self.order.handle.cancel()

    async def _settle(self, step: Step) -> None:
        """An operator finds out about every parcel, and has the compensation tried again."""
        for number in self._numbers():
            at_carrier = self.carrier.statuses(self.order.id, number)
            live = [P(status) for status in at_carrier if not P(status).is_stopped]
            outcome = ParcelOutcome.DISPATCHED if any(one.was_dispatched for one in live) else ParcelOutcome.RETRY
            settlement = SettleParcel(parcel=number, outcome=outcome, actor=STAFF, reason="asked on the phone")
            with suppress(*_REFUSED):
                await self._ask(CheckoutWorkflow.settle_parcel, settlement)
        await self._ask(
            CheckoutWorkflow.settle_compensation, SettleCompensation(actor=STAFF, reason="mended", retry=True)
        )

    # ---

    async def _ask(self, update: Any, request: Any) -> None:
        self.updates.append(await self.order.handle.start_update(update, request, wait_for_stage=Stage.ACCEPTED))

    async def _quiet(self) -> bool:
        """Whether it is soon; a call that is repeated until it succeeds is not waited for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_QUIET_SECONDS):
                await until_quiet(self._workflows())
            return True
        return False

    def _workflows(self) -> list[Handle]:
        return [self.order.handle, self.order.payment, *map(self.order.parcel, self._numbers())]

    def _numbers(self) -> list[int]:
        return [parcel.number for parcel in self.order.view().parcels]

    def _moves(self, step: Step) -> bool:
        """Whether the carrier can do that."""
        if not self.carrier.statuses(self.order.id, step.parcel):
            return False
        with suppress(httpx2.HTTPStatusError):
            self.carrier.advance(self.order.id, step.detail, step.parcel)
            return True
        return False

    async def _complete_all(self) -> None:
        rounds = 0
        await self.play(Step("adopt"))
        while await execution_status(self.order.handle) is WorkflowExecutionStatus.RUNNING:
            await self._complete()
            rounds += 1
            if rounds % 4 == 0:  # what waits for the next attempt is not waited for
                await self.play(Step("pass", detail="2"))

    async def _shown(self) -> str:
        """What the workflows that still run show to an operator."""
        shown = ["the order does not end:"]
        for handle in self._workflows():
            with suppress(RPCError):
                if await execution_status(handle) is WorkflowExecutionStatus.RUNNING:
                    shown.append(await current_details(handle))
        return "\n".join(shown)

    async def _complete(self) -> None:
        status = self.order.view().status
        if status is OrderStatus.AWAITING_PAYMENT:
            await self.play(Step("pay"))
        elif status is OrderStatus.COMPENSATION_BLOCKED:
            await self.play(Step("settle"))
        for number in self._numbers():
            if self._waits_for_pick(number):
                await self.play(Step("pick", parcel=number, units=0))
            for moved in (P.DISPATCHED, P.DELIVERED):
                await self.play(Step("report", parcel=number, detail=moved))

    def _waits_for_pick(self, number: int) -> bool:
        parcels = {parcel.number: parcel for parcel in self.order.view().parcels}
        return parcels[number].warehouse == PICKED_AT and P(parcels[number].status).is_without_booking


def shipped(order: Order) -> Counter[str]:
    """Units by SKU that were dispatched."""
    units = Counter[str]()
    for parcel in order.view().parcels:
        if P(parcel.status).was_dispatched:
            units.update({line.sku: line.quantity for line in parcel.lines})
    return units


def missing(order: Order) -> Counter[str]:
    """Units by SKU that were not there when a parcel was picked."""
    units = Counter[str]()
    for event in order.events():
        if event.type == EventType.PARCEL_PICKED:
            units.update({line.sku: line.quantity for line in ParcelPicked.model_validate(event.data).missing})
    return units
