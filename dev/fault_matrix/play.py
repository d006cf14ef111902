"""One order with one fault, from placing to its end, and what the oracle finds wrong with it."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.exceptions import TerminatedError
from temporalio.service import RPCError, RPCStatusCode

from adapters.mysql.payments.credit import Granter, StoreCredit
from adapters.mysql.tables.orders import orders
from dev.fault_matrix.cells import Cell, Course, Target
from dev.fault_matrix.ends import right_ends
from dev.fault_matrix.faults import RETRIED, Kind
from dev.fault_matrix.lost_orders import adopt, return_unrecorded
from dev.fault_matrix.oracle import Expected, violations_at_end
from dev.fault_matrix.order import REASON, STAFF, Environment, OrderUnderTest
from domain.orders import OrderStatus
from schemas.base import Address
from schemas.checkout import CheckoutInput, CheckoutResult, OrderLineInput
from schemas.credit import CreditAmount, GrantCredit
from schemas.order_requests import SettleCompensation
from workflows.names import (
    CUSTOMER_ID,
    ORDERS_QUEUE,
    fulfilment_workflow_id,
    order_workflow_id,
    payment_workflow_id,
)
from workflows.orders.checkout import CheckoutWorkflow

PATIENCE_SECONDS = 420.0
T = TypeVar("T")


@dataclass
class Outcome:
    """How an order ended, and what is wrong with that; whether an operator has `settled` something by hand."""

    cell: Cell
    order_id: str
    ended: str
    violations: list[str] = field(default_factory=list)
    settled: bool = False

    @property
    def title(self) -> str:
        """The cell and the order."""
        fault, scenario = self.cell.fault, self.cell.scenario
        return f"{fault.at} {fault.kind}, {scenario.name}, {self.cell.course} ({self.order_id})"


async def retry_until_answered(call: Callable[[], Awaitable[T]]) -> T:
    """The answer, however often Temporal's server is away meanwhile; that there is no such workflow is one."""
    while True:
        try:
            return await call()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise
            await asyncio.sleep(1)


class Play(OrderUnderTest):
    """One run of a cell."""

    def __init__(self, environment: Environment, cell: Cell, sku: str, customer: str | None = None) -> None:
        super().__init__(environment, cell.fault, sku, cell.scenario.refunds, cell.scenario.receives)
        self.cell = cell
        self.customer = customer or str(uuid.uuid4())
        self.placed = asyncio.Event()
        self._retries = self._settlements = 0

    async def run(self) -> Outcome:
        """Place the order, let the scenario's action happen, wait for the end and check it."""
        target = self.cell.scenario.target
        if target is not Target.LATE_EVENT:  # whose id is not known yet
            self.arm(self.follow_up_id if target is Target.FOLLOW_UP else self.order_id)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                ended = await self.to_the_end()
        except TimeoutError:
            return Outcome(self.cell, self.order_id, "nowhere", [f"liveness: no end within {PATIENCE_SECONDS:.0f} s"])
        found = self.errors + await asyncio.to_thread(self.violations)
        outcome = Outcome(self.cell, self.order_id, ended, found, self._is_settled())
        if not self.has_struck():
            outcome.violations.append("matrix: the fault never happened")
        right = right_ends(self.cell)
        if ended not in right and not self.cancelled:
            outcome.violations.append(f"history: it ended {ended} where {' or '.join(right)} is right")
        return outcome

    async def to_the_end(self) -> str:
        """Let the scenario happen until nothing of the order runs any more; answers its last status."""
        self._handle = await self._start()
        self.placed.set()
        actions: list[asyncio.Task[None]] = [asyncio.create_task(self.cell.scenario.action(self))]
        operator = asyncio.create_task(self._settle_blocked_compensation())
        if self.cell.course is Course.CANCELLED:
            actions.append(asyncio.create_task(self._cancel_when_struck()))
        try:
            await self._until_ended()
            if self.cell.scenario.target is not Target.ORDER:
                await actions[0]
            for child in (payment_workflow_id(self.order_id), fulfilment_workflow_id(self.order_id, 1)):
                with suppress(RPCError, WorkflowFailureError):  # it was never started
                    await retry_until_answered(self.environment.client.get_workflow_handle(child).result)
            await asyncio.wait(actions, timeout=5)  # an answer may come a moment after the end
        finally:
            for task in (*actions, operator):
                task.cancel()
            await asyncio.gather(*actions, operator, return_exceptions=True)
        order = await asyncio.to_thread(self.order)
        return str(order.status if order is not None else OrderStatus.CANCELLED)

    def violations(self) -> list[str]:
        """What the oracle finds wrong with it at its end."""
        scenario = self.cell.scenario
        stock = scenario.in_stock + (scenario.receives if self.received else 0)
        order = self.order()
        refunded = scenario.refunds if order is not None and order.payment.captured.amount else 0
        granted = {self.customer: scenario.credit} if scenario.credit else {}
        expected = Expected(self.sku, stock, refunded, granted, self._is_settled())
        return list(violations_at_end(self.environment.sides, self.order_id, expected))

    def _is_settled(self) -> bool:
        return self._settlements > 0 and self.cell.fault.kind is Kind.INVALID_DATA

    # --- what happens in every scenario

    async def _until_ended(self) -> None:
        """Its workflow has ended; one that was terminated is adopted, and ends after all."""
        try:
            await retry_until_answered(self.handle.result)
        except WorkflowFailureError as failure:  # or cancelled in the Web UI
            if isinstance(failure.cause, TerminatedError) and await adopt(self):
                await retry_until_answered(self.handle.result)
        if self.cell.fault.kind is Kind.INVALID_DATA:
            await return_unrecorded(self)

    async def _settle_blocked_compensation(self) -> None:
        """Decide, as an operator, about a compensation that is blocked: a parcel was dispatched, a payment has died."""
        while True:
            await asyncio.sleep(2)  # hundreds of orders may do so at once
            if await asyncio.to_thread(self._status) != OrderStatus.COMPENSATION_BLOCKED:
                continue
            retry = self._may_be_retried()
            reason = "once more" if retry else "it has left and is paid for"
            decision = SettleCompensation(actor=STAFF, reason=reason, retry=retry)
            with suppress(WorkflowUpdateFailedError, RPCError):  # it has ended
                await self.handle.execute_update(CheckoutWorkflow.settle_compensation, decision)
                self._retries += retry
                self._settlements += not retry

    def _may_be_retried(self) -> bool:
        """Whether it is tried again first, or always."""
        return self.cell.scenario.retried or (self.cell.fault.kind not in RETRIED and not self._retries)

    async def _cancel_when_struck(self) -> None:
        await self.struck()
        dice = random.Random(f"{self.environment.seed} {self.fault} {self.cell.scenario.name}")  # noqa: S311 - to be played again, not a secret
        await asyncio.sleep(dice.random() * 0.3)
        await self.cancel()

    # --- placing and reading the order

    async def _start(self) -> WorkflowHandle[Any, CheckoutResult]:
        if self.cell.scenario.credit:
            await asyncio.to_thread(self._grant, self.cell.scenario.credit)
        order = self._order_input()
        return await retry_until_answered(
            lambda: self.environment.client.start_workflow(
                CheckoutWorkflow.run,
                order,
                id=order_workflow_id(self.order_id),
                task_queue=ORDERS_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=TypedSearchAttributes([SearchAttributePair(CUSTOMER_ID, self.customer)]),
            )
        )

    def _order_input(self) -> CheckoutInput:
        scenario = self.cell.scenario
        address = {"name": "Matrix", "line1": "Teststraße 1", "city": "Berlin", "country": scenario.country}
        fields = {"payment_method": "pm_card_visa", **scenario.fields}
        return CheckoutInput(
            order_id=self.order_id,
            customer_id=self.customer,
            email="matrix@shop.example.com",
            cart_id=str(uuid.uuid4()),
            cart_version=1,
            lines=[OrderLineInput(sku=self.sku, quantity=scenario.units)],
            shipping_address=Address(**address, postal_code=scenario.postal_code),
            shipping_method="standard",
            **fields,
        )

    def _grant(self, amount: int) -> None:
        grant = GrantCredit(amount=CreditAmount(amount=amount, currency="EUR"), reason=REASON)
        StoreCredit(self.environment.sides.stores.engine).grant(
            self.customer, grant, Granter(STAFF, f"matrix:{self.customer}")
        )

    def _status(self) -> str | None:
        """The status alone: reading hundreds of whole orders at once would take too long."""
        with self.environment.sides.stores.engine.connect() as connection:
            return connection.scalar(sa.select(orders.c.status).where(orders.c.id == self.order_id))
