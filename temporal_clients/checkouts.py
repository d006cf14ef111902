"""What is asked of an order's CheckoutWorkflow: place, cancel, retry its payment, decide about it."""

import asyncio
from datetime import timedelta
from typing import NoReturn, TypedDict

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.actors import customer_actor
from schemas.address_changes import AddressAnswer, ChangeAddress
from schemas.checkout import CheckoutAnswer, CheckoutInput, CheckoutResult
from schemas.order_requests import CancelOrder, Decision, SettleCompensation, SettleParcel
from schemas.payments import PaymentAnswer, RetryPayment
from schemas.risk import Review
from temporal_clients.errors import StillWorking, TemporalAway, UpdateRefused, is_temporal_away
from temporal_clients.updates import QUICK, WorkflowClient
from workflows.names import CUSTOMER_ID, ORDERS_QUEUE, order_workflow_id
from workflows.orders.adoption import AdoptionWorkflow
from workflows.orders.checkout import CheckoutWorkflow

_FIRST_ANSWER = "first-answer"  # the update's id: every request for an order joins the same update
_SUPERSEDED = "superseded"  # the same: a later checkout of the cart joins the update of the one before
_ADOPTED_BY = "adopted_by"  # the memo by which a repeat of the request is known
_LOOKS_AT_ONCE = 4
_START_TIMEOUT = timedelta(seconds=30)

OrderHandle = WorkflowHandle[CheckoutWorkflow, CheckoutResult]


class CheckoutClient(WorkflowClient):
    """Starts orders, asks after them and cancels them."""

    def __init__(self, client: Client, patience_seconds: float) -> None:
        super().__init__(client, patience_seconds)
        self._looks = asyncio.Semaphore(_LOOKS_AT_ONCE)

    async def place(self, order: CheckoutInput, patience_seconds: float | None = None) -> CheckoutAnswer | None:
        """Start the order and wait for its first answer; one that was started before is only asked.

        None when its workflow has ended and is no longer kept. Raises StillWorking, or TemporalAway when it is not
        known to have started.
        """
        started = False
        operation = WithStartWorkflowOperation(CheckoutWorkflow.run, order, **_start_of(order))
        try:
            async with asyncio.timeout(patience_seconds or self.patience_seconds):
                update = await self.client.start_update_with_start_workflow(
                    CheckoutWorkflow.first_answer,
                    start_workflow_operation=operation,
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                    id=_FIRST_ANSWER,
                )
                started = True
                return await update.result()
        except WorkflowAlreadyStartedError:
            return await self._first_answer_before(order.order_id)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            if not started:  # or it is not known
                await self.start(order)
            raise StillWorking from error

    async def first_answer(self, order_id: str) -> CheckoutAnswer | None:
        """The first answer of an order that may have been started; None when it was not, or is no longer kept."""
        try:
            async with asyncio.timeout(self.patience_seconds):
                update = await self._handle(order_id).start_update(
                    CheckoutWorkflow.first_answer, wait_for_stage=WorkflowUpdateStage.ACCEPTED, id=_FIRST_ANSWER
                )
                return await update.result()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return await self._first_answer_before(order_id)
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            raise StillWorking from error

    async def cancel(self, order_id: str, update_id: str, request: CancelOrder) -> None:
        """Cancel the order and wait until everything is compensated; same id, same answer.

        Raises UpdateRefused when it is too late, StillWorking when compensation takes longer.
        """
        await self.update(self._handle(order_id), CheckoutWorkflow.cancel, request, update_id)

    async def supersede(self, order_id: str, customer_id: str) -> None:
        """Cancel an order that waits for its customer, because they check the same cart out again.

        Returns once it holds nothing any more, or goes on after all; its claim on the cart then says which. Raises
        UpdateRefused `payment_in_progress` while a payment is being tried, TemporalAway when it takes too long.
        """
        request = CancelOrder(actor=customer_actor(customer_id), reason="superseded", only_waiting=True)
        try:
            await self.update(self._handle(order_id), CheckoutWorkflow.cancel, request, _SUPERSEDED)
        except UpdateRefused as refusal:
            if refusal.code == "payment_in_progress":
                raise
            if refusal.code == "already_cancelling":
                await self._wait_for_end(order_id)
        except StillWorking as error:
            raise TemporalAway from error

    async def retry_payment(self, order_id: str, update_id: str, retry: RetryPayment) -> PaymentAnswer:
        """Try another method; same id, same answer.

        Raises UpdateRefused with the workflow's code when the order does not wait for it, StillWorking.
        """
        return await self.update(self._handle(order_id), CheckoutWorkflow.retry_payment, retry, update_id)

    async def decide(self, order_id: str, update_id: str, decision: Decision) -> CheckoutAnswer:
        """Pass on what the customer wants of an order that is partly out of stock; same id, same answer.

        Raises UpdateRefused with the workflow's code when the order does not wait for it, StillWorking.
        """
        return await self.update(self._handle(order_id), CheckoutWorkflow.decide, decision, update_id)

    async def change_address(self, order_id: str, update_id: str, change: ChangeAddress) -> AddressAnswer:
        """Ship the order to another address; same id, same answer.

        Raises UpdateRefused `not_confirmed` or `too_late`, StillWorking.
        """
        return await self.update(self._handle(order_id), CheckoutWorkflow.change_address, change, update_id)

    async def review(self, order_id: str, update_id: str, review: Review) -> None:
        """Approve or decline an order that is on hold; same id, same answer.

        Raises UpdateRefused `not_in_review` when it is not on hold, or somebody has decided before.
        """
        await self.update(self._handle(order_id), CheckoutWorkflow.review, review, update_id)

    async def settle(self, order_id: str, update_id: str, decision: SettleCompensation) -> None:
        """Retry or settle a blocked compensation; same id, same answer. Raises UpdateRefused `nothing_blocked`."""
        await self.update(self._handle(order_id), CheckoutWorkflow.settle_compensation, decision, update_id)

    async def settle_parcel(self, order_id: str, update_id: str, settlement: SettleParcel) -> None:
        """Say what became of an unknown parcel; same id, same answer. Raises UpdateRefused `parcel_not_unknown`."""
        await self.update(self._handle(order_id), CheckoutWorkflow.settle_parcel, settlement, update_id)

    async def adopt(self, order: CheckoutInput, request_id: str) -> None:
        """Start the workflow that ends an order rightly whose own is gone; a repeat of the request starts no other.

        Raises UpdateRefused `order_running` while a workflow of the order runs.
        """
        workflow_id = order_workflow_id(order.order_id)
        try:
            await self.client.start_workflow(
                AdoptionWorkflow.run,
                order,
                id=workflow_id,
                task_queue=ORDERS_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                search_attributes=TypedSearchAttributes([SearchAttributePair(CUSTOMER_ID, order.customer_id)]),
                memo={_ADOPTED_BY: request_id},
                static_summary=f"adopted: {_summary(order)}",
            )
        except WorkflowAlreadyStartedError as error:
            if not await self.was_adopted_by(order.order_id, request_id):
                raise UpdateRefused("order_running", "A workflow of the order is running.") from error

    async def was_adopted_by(self, order_id: str, request_id: str) -> bool:
        """Whether this request has started the order's last workflow, which may have ended by now."""
        try:
            described = await self._handle(order_id).describe(rpc_timeout=QUICK)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return bool(await described.memo_value(_ADOPTED_BY, None) == request_id)

    async def _wait_for_end(self, order_id: str) -> None:
        try:
            async with asyncio.timeout(self.patience_seconds):
                await self._handle(order_id).result()
        except TimeoutError as error:
            raise TemporalAway from error

    async def is_running(self, order_id: str) -> bool | None:
        """Whether the order's workflow is running; None when Temporal knows of none.

        For those who ask after an order that is not recorded yet. While so many do that Temporal answers slowly, the
        others are answered that it runs, without asking: a crowd that asks again must not keep it from working.
        """
        if self._looks.locked():
            return True
        try:
            async with self._looks:
                description = await self._handle(order_id).describe(rpc_timeout=QUICK)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return None
        return description.status is WorkflowExecutionStatus.RUNNING

    async def start(self, order: CheckoutInput) -> NoReturn:
        """Start the order unless it was, without waiting for its answer: that needs the server alone, no worker.

        Raises StillWorking once it is started for certain, and TemporalAway when that is not known.
        """
        try:
            await self.client.start_workflow(
                CheckoutWorkflow.run, order, **_start_of(order), rpc_timeout=_START_TIMEOUT
            )
        except WorkflowAlreadyStartedError:
            pass  # and it has ended meanwhile
        except RPCError as error:
            if not is_temporal_away(error):
                raise
            raise TemporalAway from error
        raise StillWorking

    async def _first_answer_before(self, order_id: str) -> CheckoutAnswer | None:
        return await self.earlier_answer(
            self._handle(order_id).get_update_handle_for(CheckoutWorkflow.first_answer, _FIRST_ANSWER)
        )

    def _handle(self, order_id: str) -> OrderHandle:
        return self.client.get_workflow_handle_for(CheckoutWorkflow.run, order_workflow_id(order_id))


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


def _summary(order: CheckoutInput) -> str:
    units = sum(line.quantity for line in order.lines)
    return f"{units} unit(s) of {len(order.lines)} product(s) to {order.shipping_address.country}"
