"""The order's parcels: starts one FulfilmentWorkflow each, signals them, and knows their state."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, WorkflowAlreadyStartedError

from domain.fulfilment import ParcelStatus
from schemas.base import Address, Payload
from schemas.checkout import CheckoutInput
from schemas.fulfilment import HoldParcel, ParcelOutcome, ParcelSettlement, ParcelUpdated, ReduceParcel, Reduction
from schemas.order_requests import SettleParcel
from schemas.orders import AdoptedOrder, OrderPlaced
from schemas.parcels import ParcelPlan
from workflows.names import fulfilment_workflow_id
from workflows.orders.parcel_children import Child, start_parcel, why_ended, why_none_is_dispatched
from workflows.parcels.fulfilment import FulfilmentWorkflow
from workflows.reasons import reason_of
from workflows.running import RunningChild
from workflows.signals import signal_child
from workflows.waiting import run_all


class OrderParcels:
    """Starts a FulfilmentWorkflow per parcel and keeps the last update of each.

    A parcel is *decided* once it was dispatched or stopped, and *unknown* while the carrier says neither although it
    was asked to cancel the shipment.
    """

    def __init__(self, order: CheckoutInput) -> None:
        self._order = order
        self._plans: dict[int, ParcelPlan] = {}
        self._updates: dict[int, ParcelUpdated] = {}
        self._unknown: dict[int, str] = {}
        self._reductions: dict[str, Reduction] = {}
        self._starting: dict[int, asyncio.Task[Child]] = {}
        self._children: dict[int, Child] = {}
        self._not_booked_yet: set[int] = set()
        self._replaced: set[int] = set()
        self.started = False  # handed to their warehouses
        self._stop_requested = False
        self._asked_to_stop: set[int] = set()
        self.on_hold = False
        self.one_change_at_a_time = asyncio.Lock()  # of what is in them, or of where they go
        self.address_holds: dict[tuple[str, int], bool] = {}

    def apply(self, update: ParcelUpdated) -> None:
        """A parcel was booked, dispatched, delivered, stopped, reduced, or cannot be said to be any of these."""
        if update.short_pick or (update.replaces is not None and self._order.adoption is None):
            return  # what is shipped again belongs to no order that has planned its own parcels
        if update.address_hold:
            self.address_holds[update.address_hold.step, update.number] = update.address_hold.held
            return
        if update.reduction:
            self._apply_reduction(update.number, update.reduction)
            return
        if update.unknown:
            self._unknown[update.number] = update.message or "the carrier does not say whether it was dispatched"
            return
        self._not_booked_yet.discard(update.number)
        if update.status is not ParcelStatus.BOOKED:
            self._updates[update.number] = update
            self._unknown.pop(update.number, None)

    # --- what is known of them

    @property
    def unknown(self) -> dict[int, str]:
        """The parcels of which nobody knows whether they were dispatched, with the reason."""
        return dict(sorted(self._unknown.items()))

    @property
    def dispatched(self) -> list[int]:
        """The parcels that were dispatched, whatever became of them."""
        return [number for number in sorted(self._updates) if not self._is_stopped(number)]

    @property
    def any_is_delivered(self) -> bool:
        """Whether the customer has something of the order."""
        return any(update.status is ParcelStatus.DELIVERED for update in self._updates.values())

    @property
    def stopped(self) -> list[int]:
        """The parcels that will never be dispatched."""
        return [number for number in sorted(self._plans) if number in self._updates and self._is_stopped(number)]

    @property
    def all_are_decided(self) -> bool:
        """Whether none can be stopped any more: each was dispatched, or has been stopped."""
        return self.started and all(number in self._updates for number in self._plans)

    @property
    def not_booked_yet(self) -> list[int]:
        """The parcels that are not stopped, as long as each of them waits for goods or its pick; otherwise none."""
        standing = [number for number in sorted(self._plans) if number not in self.stopped]
        return standing if self._not_booked_yet - self._unknown.keys() >= set(standing) else []

    def any_is_decided(self) -> bool:
        """Whether one can no longer be stopped."""
        return bool(self._updates)

    def is_over(self, number: int) -> bool:
        """Whether it was dispatched or stopped, or its workflow has ended."""
        return number in self._updates or self._ended(number)

    def is_decided(self, number: int) -> bool:
        """Whether it was dispatched or stopped."""
        return number in self._updates

    def amount(self, number: int) -> int:
        """What the parcel carries of the order's total, without what was taken out of it."""
        return self._plans[number].amount

    def undecided(self) -> dict[int, Counter[str]]:
        """The parcels that may still be stopped, with the units of each SKU in them; those booked last come first."""
        return {
            number: self._plans[number].contents
            for number in sorted(self._plans, reverse=True)
            if number not in self._updates and number not in self._unknown
        }

    async def until_decided(self, number: int) -> bool:
        """Wait until the parcel is dispatched (True) or stopped; raises the reason when its workflow has failed."""
        await workflow.wait_condition(lambda: self.is_over(number))
        if number not in self._updates:
            await self._children[number]  # raises the reason
        return not self._is_stopped(number)

    async def until_ended(self, number: int) -> ParcelUpdated:
        """Wait until a dispatched parcel's workflow has ended: delivered, returned, or lost.

        One that has failed or was terminated is replaced, once; raises the reason when the replacement fails as well.
        """
        if number not in self._starting:  # it had come to its end before the order was adopted
            return self._updates[number]
        await workflow.wait_condition(lambda: self._ended(number))
        if self._children[number].exception() and number not in self._replaced:
            await self._replace(number)
            await workflow.wait_condition(lambda: self._ended(number))
        await self._children[number]
        return self._updates[number]

    def refusal(self) -> ApplicationError:
        """Why none of them is dispatched."""
        cancelled = self._stop_requested or self._asked_to_stop >= self._plans.keys()
        return why_none_is_dispatched(self._updates[self.stopped[-1]], cancelled=cancelled)

    # --- commands

    async def start(self, placed: OrderPlaced) -> None:
        """Hand every parcel to its warehouse."""
        self.started = True
        self._plans = {parcel.number: parcel for parcel in placed.parcels}
        self._not_booked_yet = {parcel.number for parcel in placed.parcels if parcel.waits_before_booking}
        for number in self._plans:
            self._starting[number] = asyncio.create_task(self._start(number))
        for number, starting in self._starting.items():
            # Shielded: a cancellation that arrives while a child starts must not leave us without its handle.
            self._children[number] = await asyncio.shield(starting)

    async def adopt(self, adopted: AdoptedOrder) -> None:
        """Take over the parcels of an order whose workflow is gone; those of their workflows that are gone as well are
        replaced, and the others go on.
        """
        self.started = True
        self._plans = {parcel.number: parcel for parcel in adopted.placed.parcels}
        for number, status in adopted.parcels.items():
            if status.was_dispatched or status.is_final:
                self._updates.setdefault(number, ParcelUpdated(number=number, status=status))
            if not status.is_final:
                self._starting[number] = asyncio.create_task(self._take_over(number))
        for number, starting in self._starting.items():
            self._children[number] = await asyncio.shield(starting)

    async def hold(self, *, on: bool) -> None:
        """Put every parcel that was not dispatched on hold, or release it."""
        for number, starting in self._starting.items():
            child = await asyncio.shield(starting)
            if number not in self._updates:
                await signal_child(child, FulfilmentWorkflow.hold, HoldParcel(on=on))

    async def request_stop(self) -> None:
        """Have every parcel stopped that can still be stopped; `until_decided` says what became of each."""
        self._stop_requested = True
        for number in self._starting:
            await self.request_stop_of(number)

    async def request_stop_of(self, number: int) -> None:
        """Have this parcel stopped, if it still can be."""
        self._asked_to_stop.add(number)
        child = await asyncio.shield(self._starting[number])
        if number not in self._updates:
            await signal_child(child, FulfilmentWorkflow.cancel)

    async def reduce(self, command: ReduceParcel) -> Reduction | None:
        """Have units taken out of a parcel, if they still can be; None when it was decided or failed meanwhile."""
        number = command.number
        child = await asyncio.shield(self._starting[number])
        await signal_child(child, FulfilmentWorkflow.reduce, command)
        await workflow.wait_condition(lambda: command.step in self._reductions or self.is_over(number))
        return self._reductions.get(command.step)

    async def signal(self, number: int, signal: Callable[..., Any], message: Payload) -> None:
        """Signal a parcel, unless it has ended."""
        await signal_child(await asyncio.shield(self._starting[number]), signal, message)

    def go_to(self, address: Address, plans: Iterable[ParcelPlan]) -> None:
        """They go to another address, and carry what the order costs there."""
        self._order = self._order.model_copy(update={"shipping_address": address})
        self._plans.update({plan.number: plan for plan in plans})

    async def stop_all(self) -> None:
        """Stop each parcel by itself; returns when every one is decided, or unknown. The compensation of `start`.

        Repeat-safe: what is decided is not asked again, and what is unknown only after `ask_again`.
        """
        self._stop_requested = True
        known = self._updates.keys() | self._unknown.keys()
        await run_all(*(self._stop(number) for number in self._starting if number not in known))

    def ask_again(self) -> None:
        """Have `stop_all` ask what became of the unknown ones once more."""
        self._unknown.clear()

    async def settle(self, settlement: SettleParcel) -> None:
        """Staff have found out what became of an unknown parcel, or have the carrier asked again."""
        number = settlement.parcel
        answer = ParcelSettlement(outcome=settlement.outcome, actor=settlement.actor, reason=settlement.reason)
        if number not in self._children or self._ended(number):
            await self._replace(number)
        await signal_child(self._children[number], FulfilmentWorkflow.settle_parcel, answer)
        if settlement.outcome is not ParcelOutcome.RETRY:
            await workflow.wait_condition(lambda: self.is_over(number))

    async def hold_for_payment(self) -> None:
        """Have parcels that wait for goods or their pick wait for the payment as well; what is booked is paid for."""
        await self._signal_not_booked(FulfilmentWorkflow.hold_for_payment)

    async def release_for_payment(self) -> None:
        """The payment is authorized again."""
        await self._signal_not_booked(FulfilmentWorkflow.release_for_payment)

    # --- its workflows

    async def _stop(self, number: int) -> None:
        try:
            child = self._children[number] = await asyncio.shield(self._starting[number])
        except FailureError as failure:
            self._unknown[number] = f"its workflow did not start: {reason_of(failure).message}"
            return
        if child.done():
            child = await self._replace(number)
        await signal_child(child, FulfilmentWorkflow.cancel)
        await workflow.wait_condition(lambda: number in self._updates or number in self._unknown or child.done())
        if not (number in self._updates or number in self._unknown):
            self._unknown[number] = f"its workflow has ended: {why_ended(child)}"

    async def _replace(self, number: int) -> Child:
        """A workflow of the same id for one that has failed or was terminated: it asks the carrier by reference."""
        self._replaced.add(number)
        self._starting[number] = asyncio.create_task(self._start(number, adopt=True))
        self._children[number] = await asyncio.shield(self._starting[number])
        return self._children[number]

    async def _take_over(self, number: int) -> Child:
        try:
            return await self._start(number, adopt=True)
        except WorkflowAlreadyStartedError:
            workflow_id = fulfilment_workflow_id(self._order.order_id, number)
            return RunningChild(workflow_id, lambda: self._is_final(number))

    async def _start(self, number: int, *, adopt: bool = False) -> Child:
        """One that replaces another stops its parcel, unless that was dispatched: it books nothing meanwhile."""
        stop = adopt and number not in self._updates
        plan, parcels = self._plans[number], len(self._plans)
        return await start_parcel(self._order, plan, parcels, on_hold=self.on_hold, adopt=adopt, stop=stop)

    def _apply_reduction(self, number: int, reduction: Reduction) -> None:
        self._reductions[reduction.step] = reduction
        if reduction.reduced:
            self._plans[number] = reduction.reduced.plan

    async def _signal_not_booked(self, signal: Callable[[FulfilmentWorkflow], None]) -> None:
        for number in sorted(self._not_booked_yet & self._children.keys()):
            await signal_child(self._children[number], signal)

    def _is_stopped(self, number: int) -> bool:
        return ParcelStatus(self._updates[number].status).is_stopped

    def _is_final(self, number: int) -> bool:
        return number in self._updates and ParcelStatus(self._updates[number].status).is_final

    def _ended(self, number: int) -> bool:
        return number in self._children and self._children[number].done()
