"""One order with one fault, from placing to its end, and what the oracle says of it."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from adapters.mysql.credit import Granter, StoreCredit
from adapters.mysql.orders import OrderStore
from adapters.mysql.payments import Ledger
from dev.fault_matrix.faults import Faults
from dev.fault_matrix.oracle import Expected, Sides, violations_at_end
from dev.fault_matrix.scenarios import Cell, Course
from domain.orders import FINAL_STATUSES, OrderStatus, PaymentStatus
from schemas.base import Address
from schemas.checkout import CheckoutInput, CheckoutResult, OrderLineInput
from schemas.credit import CreditAmount, GrantCredit
from schemas.disputes import DisputeEnded, OperatorDecision
from schemas.orders import CancelOrder, Choice, Decision, OrderView, SettleCompensation
from schemas.refunds import RefundInput
from workers.service_client import ServiceClient
from workflows.checkout import CheckoutWorkflow
from workflows.dispute import DisputeWorkflow
from workflows.names import (
    CUSTOMER_ID,
    ORDERS_QUEUE,
    PAYMENTS_QUEUE,
    dispute_workflow_id,
    fulfilment_workflow_id,
    order_workflow_id,
    payment_workflow_id,
    refund_workflow_id,
)
from workflows.refund import RefundWorkflow

PATIENCE_SECONDS = 180.0
T = TypeVar("T")
ACTOR = "customer:matrix"


@dataclass(frozen=True)
class Stage:
    """What every play needs."""

    client: Client
    sides: Sides
    faults: Faults
    staff: ServiceClient
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
        self._stage, self._cell, self._sku = stage, cell, sku
        self.order_id, self._later_id = str(uuid.uuid4()), str(uuid.uuid4())
        self._later = bool(cell.scenario.refunds or cell.scenario.disputed)
        self._struck_at = self._later_id if self._later else self.order_id
        self._customer = customer or str(uuid.uuid4())
        self._handle: WorkflowHandle[Any, CheckoutResult] | None = None
        self._cancelled = False
        self._arrived = False

    async def run(self) -> Outcome:
        """Place the order, let everybody do their part, wait for its end and look at it."""
        self._stage.faults.arm(self._struck_at, self._cell.fault)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                ended = await self.to_the_end()
        except TimeoutError:
            return Outcome(self._cell, self.order_id, "nowhere", [f"liveness: no end within {PATIENCE_SECONDS:.0f} s"])
        outcome = Outcome(self._cell, self.order_id, ended, await asyncio.to_thread(self.look))
        if not self._stage.faults.struck(self._struck_at):
            outcome.violations.append("matrix: the fault never happened")
        expected = self._cell.scenario.ends
        if ended != expected and not self._cancelled:
            outcome.violations.append(f"history: it ended {ended} where {expected} is right")
        return outcome

    async def to_the_end(self) -> str:
        """Let everybody do their part until nothing of the order runs any more; answers its last status."""
        self._handle = await self._start()
        people: list[asyncio.Task[None]] = [asyncio.create_task(self._cell.scenario.people(self))]
        operator = asyncio.create_task(self._settle_what_is_owed())
        if self._cell.course is Course.CANCELLED:
            people.append(asyncio.create_task(self._cancel_when_struck()))
        try:
            with suppress(WorkflowFailureError):  # called back from the Web UI
                await patiently(self._handle.result)
            if self._later:
                await people[0]
            for child in (payment_workflow_id(self.order_id), fulfilment_workflow_id(self.order_id, 1)):
                with suppress(RPCError, WorkflowFailureError):  # it was never begun
                    await patiently(self._stage.client.get_workflow_handle(child).result)
            await asyncio.wait(people, timeout=5)  # an answer may come a moment after the end
        finally:
            for task in (*people, operator):
                task.cancel()
            await asyncio.gather(*people, operator, return_exceptions=True)
        order = self._order()
        return str(order.status if order is not None else OrderStatus.CANCELLED)

    def look(self) -> list[str]:
        """What the oracle says of it."""
        scenario = self._cell.scenario
        there = scenario.there + (scenario.arrives if self._arrived else 0)
        order = self._order()
        refunded = scenario.refunds if order is not None and order.payment.captured.amount else 0
        granted = {self._customer: scenario.credit} if scenario.credit else {}
        expected = Expected(self._sku, there, refunded, granted)
        return list(violations_at_end(self._stage.sides, self.order_id, expected))

    # --- what people do

    async def go_to_the_bank(self) -> None:
        """The customer says yes there."""
        order = await self._order_when(lambda order: order.payment_action is not None)
        assert order.payment_action is not None
        secret = order.payment_action.client_secret or ""
        said = {"payment_intent": secret.partition("_secret_")[0]}
        await asyncio.to_thread(httpx2.post, f"{self._stage.sides.provider}/_control/authenticate", json=said)

    async def take_what_there_is(self) -> None:
        """The customer decides."""
        await self._order_when(lambda order: order.shortage is not None)
        assert self._handle is not None
        wanted = Decision(choice=Choice.TAKE_AVAILABLE, actor=ACTOR)
        with suppress(WorkflowUpdateFailedError, RPCError):  # cancelled meanwhile
            await self._handle.execute_update(CheckoutWorkflow.decide, wanted)

    async def call_back_when_booked(self) -> None:
        """An operator cancels the order in the Web UI."""
        await self._order_when(lambda order: order.parcels and order.parcels[0].tracking_number is not None)
        assert self._handle is not None
        await self._handle.cancel()
        self._cancelled = True

    async def deliver_the_goods(self) -> None:
        """A supplier brings what is missing."""
        await self._order_when(lambda order: order.status is OrderStatus.CONFIRMED)
        arrival = {"kind": "received", "quantity": self._cell.scenario.arrives, "warehouse": "BER"}
        headers = {"Idempotency-Key": self.order_id}
        path = f"/v1/stock/{self._sku}/movements"
        done = await asyncio.to_thread(self._stage.staff.post, path, json=arrival, headers=headers)
        done.raise_for_status()
        self._arrived = True

    async def refund(self) -> None:
        """Staff give a part back, once it is delivered."""
        assert self._handle is not None
        await self._handle.result()  # it may be delivered a moment before it is paid for
        order = await self._order_when(lambda order: order.payment.captured.amount)
        wanted = RefundInput(
            refund_id=self._later_id,
            order_id=order.id,
            amount=self._cell.scenario.refunds,
            currency=order.total.currency,
            reason="fault matrix",
            actor="staff:matrix",
        )
        await self._stage.client.execute_workflow(
            RefundWorkflow.run, wanted, id=refund_workflow_id(self._later_id), task_queue=PAYMENTS_QUEUE
        )

    async def answer_and_give_in(self) -> None:
        """The customer disputes what they have paid; staff send evidence, and then think better of it."""
        assert self._handle is not None
        await self._handle.result()
        order = await self._order_when(lambda order: order.payment.captured.amount)
        if not order.payment.captured.amount:  # cancelled meanwhile
            return
        paid = Ledger(self._stage.sides.stores.engine).entries(order.id)[0].provider_id
        name = f"dp_{self._later_id}"
        opened = {"payment_intent": paid, "id": name}
        await asyncio.to_thread(httpx2.post, f"{self._stage.sides.provider}/_control/disputes", json=opened)
        await self._order_when(lambda order: order.payment_status is PaymentStatus.DISPUTED, final=False)
        dispute: WorkflowHandle[DisputeWorkflow, DisputeEnded] = self._stage.client.get_workflow_handle_for(
            DisputeWorkflow.run, dispute_workflow_id(name)
        )
        said = OperatorDecision(actor="staff:matrix", reason="fault matrix", text="signed for")
        await dispute.execute_update(DisputeWorkflow.submit_evidence, said)
        await dispute.execute_update(DisputeWorkflow.accept, said)
        await dispute.result()

    async def _settle_what_is_owed(self) -> None:
        """An operator is asked about what cannot be undone: a parcel that has left while the order was cancelled."""
        while True:
            await self._order_when(lambda order: order.status is OrderStatus.COMPENSATION_BLOCKED)
            assert self._handle is not None
            settled = SettleCompensation(actor="staff:matrix", reason="it has left and is paid for", retry=False)
            with suppress(WorkflowUpdateFailedError, RPCError):  # it has ended
                await self._handle.execute_update(CheckoutWorkflow.settle_compensation, settled)
            await asyncio.sleep(0.5)

    async def _cancel_when_struck(self) -> None:
        while not self._stage.faults.struck(self._struck_at):  # noqa: ASYNC110 - another process strikes
            await asyncio.sleep(0.02)
        dice = random.Random(f"{self._stage.seed} {self._cell}")  # noqa: S311 - to be played again, not a secret
        await asyncio.sleep(dice.random() * 0.3)
        assert self._handle is not None
        with suppress(WorkflowUpdateFailedError, RPCError):  # it is too late, or it has ended
            await self._handle.execute_update(CheckoutWorkflow.cancel, CancelOrder(actor=ACTOR, reason="fault matrix"))
            self._cancelled = True

    # --- small words

    async def _start(self) -> WorkflowHandle[Any, CheckoutResult]:
        scenario, customer = self._cell.scenario, self._customer
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
            lines=[OrderLineInput(sku=self._sku, quantity=scenario.units)],
            shipping_address=Address(**address, postal_code=scenario.postal_code),
            shipping_method="standard",
            **fields,
        )
        return await patiently(
            lambda: self._stage.client.start_workflow(
                CheckoutWorkflow.run,
                order,
                id=order_workflow_id(self.order_id),
                task_queue=ORDERS_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=TypedSearchAttributes([SearchAttributePair(CUSTOMER_ID, customer)]),
            )
        )

    def _grant(self, amount: int) -> None:
        wanted = GrantCredit(amount=CreditAmount(amount=amount, currency="EUR"), reason="fault matrix")
        StoreCredit(self._stage.sides.stores.engine).grant(
            self._customer, wanted, Granter("staff:matrix", f"matrix:{self._customer}")
        )

    async def _order_when(self, ready: Callable[[OrderView], object], *, final: bool = True) -> OrderView:
        while True:
            order = await asyncio.to_thread(self._order)
            if order is not None and (ready(order) or (final and order.status in FINAL_STATUSES)):
                return order
            await asyncio.sleep(0.1)

    def _order(self) -> OrderView | None:
        return OrderStore(self._stage.sides.stores.engine).get(self.order_id)
