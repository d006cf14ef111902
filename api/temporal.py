"""The process's one Temporal client, and what is asked of an order's CheckoutWorkflow through it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import ClassVar, NoReturn, TypedDict, TypeVar

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.types import MethodAsyncSingleParam

from api.errors import HttpProblem, Unavailable, is_temporal_away
from domain.actors import customer_actor
from schemas.checkout import CheckoutAnswer, CheckoutInput, CheckoutResult
from schemas.orders import CancelOrder, Decision, SettleCompensation
from schemas.payments import PaymentAnswer, RetryPayment
from schemas.risk import Review
from workflows.names import CUSTOMER_ID, ORDERS_QUEUE, order_workflow_id
from workflows.orders.checkout import CheckoutWorkflow

_FIRST_ANSWER = "first-answer"  # the update's id: every asker of an order joins the same update
_QUICK = timedelta(seconds=5)
_HAND_IN = timedelta(seconds=30)

P = TypeVar("P")
S = TypeVar("S")
T = TypeVar("T")
OrderHandle = WorkflowHandle[CheckoutWorkflow, CheckoutResult]


class StillWorking(Exception):
    """The workflow is there and will answer, but not within the time a request may take."""


class Desk:
    """Asks workflows, never longer than `patience_seconds` at a time."""

    over: ClassVar = ("too_late", "The order has come to its end.")

    def __init__(self, client: Client, patience_seconds: float) -> None:
        self._client = client
        self._patience = patience_seconds

    async def _result_of(
        self,
        run: MethodAsyncSingleParam[S, P, T],
        argument: P,
        workflow_id: str,
        queue: str,
        *,
        summary: str,
        details: str | None = None,
    ) -> T:
        """What a workflow comes to that is started once, however often it is asked for. Raises StillWorking."""
        handle = self._client.get_workflow_handle_for(run, workflow_id)
        try:
            async with asyncio.timeout(self._patience):
                with suppress(WorkflowAlreadyStartedError):  # and it has ended
                    await self._client.start_workflow(
                        run,
                        argument,
                        id=workflow_id,
                        task_queue=queue,
                        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                        static_summary=summary,
                        static_details=details,
                    )
                return await handle.result()
        except TimeoutError as error:
            raise StillWorking from error

    async def _once(self, ask: Awaitable[T], earlier: WorkflowUpdateHandle[T]) -> T:
        try:
            async with self._asking():
                return await ask
        except HttpProblem as refusal:
            before = await self._answered(earlier)
            if before is None:
                raise refusal from None
            return before

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """An update's refusals and delays in this desk's words."""
        try:
            async with asyncio.timeout(self._patience):
                yield
        except WorkflowUpdateFailedError as error:
            raise _refused(error) from error
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise HttpProblem(409, *self.over) from error
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            raise StillWorking from error

    async def _answered(self, update: WorkflowUpdateHandle[T]) -> T | None:
        """What an update was answered before its workflow ended; None when it was not, or is forgotten."""
        try:
            return await update.result(rpc_timeout=_QUICK)
        except WorkflowUpdateFailedError:
            return None
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return None


class OrderDesk(Desk):
    """Starts orders, asks after them and cancels them."""

    async def place(self, order: CheckoutInput) -> CheckoutAnswer | None:
        """Start the order and wait for its first answer; one that was started before is only asked.

        None when its workflow has ended and is forgotten. Raises StillWorking, or Unavailable when it is not
        known to have started.
        """
        started = False
        operation = WithStartWorkflowOperation(CheckoutWorkflow.run, order, **_start_of(order))
        try:
            async with asyncio.timeout(self._patience):
                update = await self._client.start_update_with_start_workflow(
                    CheckoutWorkflow.first_answer,
                    start_workflow_operation=operation,
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                    id=_FIRST_ANSWER,
                )
                started = True
                return await update.result()
        except WorkflowAlreadyStartedError:
            return await self._told_before(order.order_id)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            if not started:  # or it is not known
                await self.hand_in(order)
            raise StillWorking from error

    async def first_answer(self, order_id: str) -> CheckoutAnswer | None:
        """The first answer of an order that may have been started; None when it was not, or is forgotten."""
        try:
            async with asyncio.timeout(self._patience):
                update = await self._handle(order_id).start_update(
                    CheckoutWorkflow.first_answer, wait_for_stage=WorkflowUpdateStage.ACCEPTED, id=_FIRST_ANSWER
                )
                return await update.result()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return await self._told_before(order_id)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            raise StillWorking from error

    async def cancel(self, order_id: str, request: CancelOrder) -> None:
        """Cancel the order and wait until everything is taken back.

        Raises a 409 with the workflow's code when it is too late, StillWorking when taking back lasts longer.
        """
        async with self._asking():
            await self._handle(order_id).execute_update(CheckoutWorkflow.cancel, request)

    async def supersede(self, order_id: str, customer_id: str) -> None:
        """Take back an order that waits for its customer, because they check the same cart out anew.

        Returns once it holds nothing any more, or stands after all; its claim on the cart then says which. Raises a 409
        `payment_in_progress` while it is being paid at this moment, Unavailable when it takes too long.
        """
        request = CancelOrder(actor=customer_actor(customer_id), reason="superseded", only_waiting=True)
        try:
            async with self._asking():
                await self._handle(order_id).execute_update(CheckoutWorkflow.cancel, request)
        except HttpProblem as refusal:
            if refusal.code == "payment_in_progress":
                raise
            if refusal.code == "already_cancelling":
                await self._wait_for_end(order_id)
        except StillWorking as error:
            raise Unavailable from error

    async def retry_payment(self, order_id: str, update_id: str, wanted: RetryPayment) -> PaymentAnswer:
        """Try another method; whoever asks under the same id gets the same answer.

        Raises a 409 with the workflow's code when it is not the time for it, StillWorking when the bank takes long.
        """
        handle = self._handle(order_id)
        earlier = handle.get_update_handle_for(CheckoutWorkflow.retry_payment, update_id)
        return await self._once(handle.execute_update(CheckoutWorkflow.retry_payment, wanted, id=update_id), earlier)

    async def decide(self, order_id: str, update_id: str, decision: Decision) -> CheckoutAnswer:
        """Say what its customer wants of an order that is partly out of stock; same id, same answer.

        Raises a 409 with the workflow's code when it is not the time for it, StillWorking when what follows takes long.
        """
        handle = self._handle(order_id)
        earlier = handle.get_update_handle_for(CheckoutWorkflow.decide, update_id)
        return await self._once(handle.execute_update(CheckoutWorkflow.decide, decision, id=update_id), earlier)

    async def review(self, order_id: str, update_id: str, review: Review) -> None:
        """Say what becomes of an order that is held; same id, same answer.

        Raises a 409 `not_in_review` when it is not held, or somebody has decided before.
        """
        handle = self._handle(order_id)
        earlier = handle.get_update_handle_for(CheckoutWorkflow.review, update_id)
        await self._once(handle.execute_update(CheckoutWorkflow.review, review, id=update_id), earlier)

    async def settle(self, order_id: str, update_id: str, decision: SettleCompensation) -> None:
        """Say what becomes of what could not be taken back; same id, same answer. Raises a 409 `nothing_blocked`."""
        handle = self._handle(order_id)
        earlier = handle.get_update_handle_for(CheckoutWorkflow.settle_compensation, update_id)
        await self._once(handle.execute_update(CheckoutWorkflow.settle_compensation, decision, id=update_id), earlier)

    async def _wait_for_end(self, order_id: str) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._handle(order_id).result()
        except TimeoutError as error:
            raise Unavailable from error

    async def is_running(self, order_id: str) -> bool | None:
        """Whether the order's workflow is at work; None when Temporal knows of none."""
        try:
            description = await self._handle(order_id).describe(rpc_timeout=_QUICK)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return None
        return description.status is WorkflowExecutionStatus.RUNNING

    async def hand_in(self, order: CheckoutInput) -> NoReturn:
        """Start the order unless it was, and wait for nothing: that needs no worker, only the server.

        Raises StillWorking once it is there for good, and Unavailable when the server does not say so.
        """
        try:
            await self._client.start_workflow(CheckoutWorkflow.run, order, **_start_of(order), rpc_timeout=_HAND_IN)
        except WorkflowAlreadyStartedError:
            pass  # and it has ended meanwhile
        except RPCError as error:
            if not is_temporal_away(error):
                raise
            raise Unavailable from error
        raise StillWorking

    async def _told_before(self, order_id: str) -> CheckoutAnswer | None:
        return await self._answered(
            self._handle(order_id).get_update_handle_for(CheckoutWorkflow.first_answer, _FIRST_ANSWER)
        )

    def _handle(self, order_id: str) -> OrderHandle:
        return self._client.get_workflow_handle_for(CheckoutWorkflow.run, order_workflow_id(order_id))


class _StartOptions(TypedDict):
    id: str
    task_queue: str
    id_conflict_policy: WorkflowIDConflictPolicy
    id_reuse_policy: WorkflowIDReusePolicy
    search_attributes: TypedSearchAttributes
    static_summary: str


def _start_of(order: CheckoutInput) -> _StartOptions:
    return _StartOptions(
        id=order_workflow_id(order.order_id),
        task_queue=ORDERS_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        search_attributes=TypedSearchAttributes([SearchAttributePair(CUSTOMER_ID, order.customer_id)]),
        static_summary=_summary(order),
    )


def _refused(error: WorkflowUpdateFailedError) -> HttpProblem:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        if cause.type == "RuntimeError":  # Temporal's own: a worker of an earlier release cannot read it
            return Unavailable()
        return HttpProblem(409, cause.type or "conflict", cause.message)
    return HttpProblem(409, "conflict", "The order cannot do this now.")


def _summary(order: CheckoutInput) -> str:
    units = sum(line.quantity for line in order.lines)
    return f"{units} unit(s) of {len(order.lines)} product(s) to {order.shipping_address.country}"
