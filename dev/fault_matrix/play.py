"""One order with one fault, from placing to its end, and what the oracle says of it."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.payments.credit import Granter, StoreCredit
from adapters.mysql.tables.orders import orders
from dev.fault_matrix.faults import Faults
from dev.fault_matrix.oracle import Expected, Sides, violations_at_end
from dev.fault_matrix.people import CUSTOMER, STAFF, WHY
from dev.fault_matrix.scenarios import Cell, Course, Strikes
from domain.orders import FINAL_STATUSES, OrderStatus
from schemas.base import Address
from schemas.checkout import CheckoutInput, CheckoutResult, OrderLineInput
from schemas.credit import CreditAmount, GrantCredit
from schemas.orders import CancelOrder, OrderView, SettleCompensation
from workers.service_client import ServiceClient
from workflows.names import (
    CUSTOMER_ID,
    ORDERS_QUEUE,
    fulfilment_workflow_id,
    order_workflow_id,
    payment_workflow_id,
)
from workflows.orders.checkout import CheckoutWorkflow

PATIENCE_SECONDS = 180.0
T = TypeVar("T")


@dataclass(frozen=True)
class Stage:
    """What every play needs."""

    client: Client
    sides: Sides
    faults: Faults
    staff: ServiceClient
    provider_key: str
    seed: int


@dataclass
class Outcome:
    """How an order ended, and what is wrong with that."""

    cell: Cell
    order_id: str
    ended: str
    violations: list[str] = field(default_factory=list)


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer, however often Temporal's server goes away meanwhile; that there is no such workflow is one."""
    while True:
        try:
            return await ask()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise
            await asyncio.sleep(1)


class Play:
    """One order on its way."""

    def __init__(self, stage: Stage, cell: Cell, sku: str, customer: str | None = None) -> None:
        self.stage, self.cell, self.sku = stage, cell, sku
        self.order_id, self.later_id = str(uuid.uuid4()), str(uuid.uuid4())
        self.customer = customer or str(uuid.uuid4())
        self.cancelled = self.arrived = False
        self.wrong: list[str] = []
        self.placed = asyncio.Event()
        self._struck_at = ""
        self._handle: WorkflowHandle[Any, CheckoutResult] | None = None

    async def run(self) -> Outcome:
        """Place the order, let everybody do their part, wait for its end and look at it."""
        strikes = self.cell.scenario.strikes
        if strikes is not Strikes.THE_PAYMENT:  # which nobody knows yet
            self.arm(self.later_id if strikes is Strikes.WHAT_FOLLOWS else self.order_id)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                ended = await self.to_the_end()
        except TimeoutError:
            return Outcome(self.cell, self.order_id, "nowhere", [f"liveness: no end within {PATIENCE_SECONDS:.0f} s"])
        found = self.wrong + await asyncio.to_thread(self.look)
        outcome = Outcome(self.cell, self.order_id, ended, found)
        if not self._is_struck():
            outcome.violations.append("matrix: the fault never happened")
        expected = self.cell.scenario.ends
        if ended != expected and not self.cancelled:
            outcome.violations.append(f"history: it ended {ended} where {expected} is right")
        return outcome

    async def to_the_end(self) -> str:
        """Let everybody do their part until nothing of the order runs any more; answers its last status."""
        self._handle = await self._start()
        self.placed.set()
        people: list[asyncio.Task[None]] = [asyncio.create_task(self.cell.scenario.people(self))]
        operator = asyncio.create_task(self._settle_what_is_owed())
        if self.cell.course is Course.CANCELLED:
            people.append(asyncio.create_task(self._cancel_when_struck()))
        try:
            with suppress(WorkflowFailureError):  # called back from the Web UI
                await patiently(self.handle.result)
            if self.cell.scenario.strikes is not Strikes.THE_ORDER:
                await people[0]
            for child in (payment_workflow_id(self.order_id), fulfilment_workflow_id(self.order_id, 1)):
                with suppress(RPCError, WorkflowFailureError):  # it was never begun
                    await patiently(self.stage.client.get_workflow_handle(child).result)
            await asyncio.wait(people, timeout=5)  # an answer may come a moment after the end
        finally:
            for task in (*people, operator):
                task.cancel()
            await asyncio.gather(*people, operator, return_exceptions=True)
        order = await asyncio.to_thread(self._order)
        return str(order.status if order is not None else OrderStatus.CANCELLED)

    def look(self) -> list[str]:
        """What the oracle says of it."""
        scenario = self.cell.scenario
        there = scenario.there + (scenario.arrives if self.arrived else 0)
        order = self._order()
        refunded = scenario.refunds if order is not None and order.payment.captured.amount else 0
        granted = {self.customer: scenario.credit} if scenario.credit else {}
        expected = Expected(self.sku, there, refunded, granted)
        return list(violations_at_end(self.stage.sides, self.order_id, expected))

    # --- for those who have to do with it

    @property
    def handle(self) -> WorkflowHandle[Any, CheckoutResult]:
        """The order's workflow."""
        assert self._handle is not None, "it is placed first"
        return self._handle

    def arm(self, subject: str) -> None:
        """Have the fault strike in the workflow whose id holds this one."""
        self._struck_at = subject
        self.stage.faults.arm(subject, self.cell.fault)

    async def struck(self) -> None:
        """Wait until the fault has struck."""
        while not self._is_struck():  # noqa: ASYNC110 - another process strikes
            await asyncio.sleep(0.02)

    async def cancel(self) -> None:
        """The customer changes their mind."""
        wanted = CancelOrder(actor=CUSTOMER, reason=WHY)
        with suppress(WorkflowUpdateFailedError, RPCError):  # it is too late, or it has ended
            await self.handle.execute_update(CheckoutWorkflow.cancel, wanted)
            self.cancelled = True

    async def order_when(self, ready: Callable[[OrderView], object], *, final: bool = True) -> OrderView:
        """The order, as soon as it is as wanted, or at its end."""
        while True:
            order = await asyncio.to_thread(self._order)
            if order is not None and (ready(order) or (final and order.status in FINAL_STATUSES)):
                return order
            await asyncio.sleep(0.1)

    # --- what people do, whatever the scenario

    async def _settle_what_is_owed(self) -> None:
        """An operator is asked about what cannot be undone: a parcel that has left while the order was cancelled."""
        while True:
            await asyncio.sleep(2)  # there may be hundreds of us
            if await asyncio.to_thread(self._status) != OrderStatus.COMPENSATION_BLOCKED:
                continue
            settled = SettleCompensation(actor=STAFF, reason="it has left and is paid for", retry=False)
            with suppress(WorkflowUpdateFailedError, RPCError):  # it has ended
                await self.handle.execute_update(CheckoutWorkflow.settle_compensation, settled)

    async def _cancel_when_struck(self) -> None:
        await self.struck()
        dice = random.Random(f"{self.stage.seed} {self.cell.fault} {self.cell.scenario.name}")  # noqa: S311 - to be played again, not a secret
        await asyncio.sleep(dice.random() * 0.3)
        await self.cancel()

    # --- small words

    async def _start(self) -> WorkflowHandle[Any, CheckoutResult]:
        scenario, customer = self.cell.scenario, self.customer
        if scenario.credit:
            await asyncio.to_thread(self._grant, scenario.credit)
        address = {"name": "Matrix", "line1": "Teststraße 1", "city": "Berlin", "country": "DE"}
        fields = {"payment_method": "pm_card_visa", **scenario.fields}
        order = CheckoutInput(
            order_id=self.order_id,
            customer_id=customer,
            email="matrix@shop.example.com",
            cart_id=str(uuid.uuid4()),
            cart_version=1,
            lines=[OrderLineInput(sku=self.sku, quantity=scenario.units)],
            shipping_address=Address(**address, postal_code=scenario.postal_code),
            shipping_method="standard",
            **fields,
        )
        return await patiently(
            lambda: self.stage.client.start_workflow(
                CheckoutWorkflow.run,
                order,
                id=order_workflow_id(self.order_id),
                task_queue=ORDERS_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=TypedSearchAttributes([SearchAttributePair(CUSTOMER_ID, customer)]),
            )
        )

    def _grant(self, amount: int) -> None:
        wanted = GrantCredit(amount=CreditAmount(amount=amount, currency="EUR"), reason=WHY)
        StoreCredit(self.stage.sides.stores.engine).grant(
            self.customer, wanted, Granter(STAFF, f"matrix:{self.customer}")
        )

    def _is_struck(self) -> bool:
        return bool(self._struck_at) and self.stage.faults.struck(self._struck_at)

    def _status(self) -> str | None:
        """The status alone: of hundreds of orders at once, the whole would be too much to look at."""
        with self.stage.sides.stores.engine.connect() as connection:
            return connection.scalar(sa.select(orders.c.status).where(orders.c.id == self.order_id))

    def _order(self) -> OrderView | None:
        return OrderStore(self.stage.sides.stores.engine).get(self.order_id)
