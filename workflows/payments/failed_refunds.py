"""FailedRefundWorkflow records that a refund failed after it had succeeded, and calls an operator."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow

from activities.refunds import RefundActivities
from schemas.operator_tasks import OperatorTaskCode
from schemas.provider_calls import PaymentOutcome, ProviderResult, RetrieveRefund
from schemas.provider_events import ProviderEvent
from schemas.refunds import FailedRefundInput, RefundReversed, ReverseRefund
from workflows.names import failed_refund_workflow_id
from workflows.options import PROVIDER
from workflows.payments.provider_events import ProviderEventInbox, start_detached_child
from workflows.stores import on_store
from workflows.timeline import Timeline, money
from workflows.waiting import run_to_completion

# The refund's own workflow may be about to record it; after that the reconciliation finds what it has recorded.
_WAITS: Sequence[timedelta] = (
    timedelta(seconds=2),
    timedelta(seconds=20),
    timedelta(minutes=2),
    timedelta(minutes=20),
)


@workflow.defn
class FailedRefundWorkflow:
    """retrieve → record the reversal, once → needs operator; does nothing where the refund has not failed."""

    @workflow.init
    def __init__(self, failed: FailedRefundInput) -> None:
        self._failed = failed
        self._timeline = Timeline(f"Refund {failed.provider_id} of order {failed.order_id}", failed.order_id)
        self._events = ProviderEventInbox(self._timeline, unread=True)
        self._result = RefundReversed()

    @workflow.run
    async def run(self, failed: FailedRefundInput) -> RefundReversed:  # noqa: ARG002 - kept by __init__
        """Follow up every event, until the reversal is recorded."""
        return await run_to_completion(self._follow(), self._timeline.add)

    async def _follow(self) -> RefundReversed:
        while not self._result.amount and self._events.take():
            await self._check()
        return self._result

    @workflow.signal
    def provider_event(self, event: ProviderEvent) -> None:
        """A verified webhook about this refund."""
        self._events.receive(event)

    async def _check(self) -> None:
        refund = await workflow.execute_activity_method(
            RefundActivities.retrieve_refund,
            RetrieveRefund(order_id=self._failed.order_id, provider_id=self._failed.provider_id),
            summary="retrieve the refund",
            **PROVIDER,
        )
        if refund.outcome is not PaymentOutcome.DECLINED:
            self._timeline.add(f"no action: the provider calls it {refund.outcome}")
            return
        for wait in (*_WAITS, None):
            await self._reverse(refund)
            if not self._result.pending or wait is None:
                break
            await workflow.sleep(wait, summary="until its own workflow has recorded it")
        if self._result.amount:
            self._needs_operator(refund)
        else:
            self._timeline.add("no action: it is not in our ledger")

    async def _reverse(self, refund: ProviderResult) -> None:
        command = ReverseRefund(
            order_id=self._failed.order_id,
            provider_id=self._failed.provider_id,
            refund_id=self._failed.refund_id,
            code=refund.code or "refund_failed",
        )
        self._result = await on_store(RefundActivities.reverse_refund, command, "record the reversal", self._timeline)

    def _needs_operator(self, refund: ProviderResult) -> None:
        amount = money(self._result.amount, self._result.currency)
        self._timeline.add(f"**failed after it had succeeded**: `{refund.code}`, {amount} returned to us")
        self._timeline.needs_operator(
            [f"{amount} has not reached the customer; refund it another way"],
            code=OperatorTaskCode.REFUND_FAILED,
            route=f"POST /v1/ops/orders/{self._failed.order_id}/refunds",
            outlasts=True,
        )
        workflow.logger.error(
            "a refund has failed after it had succeeded",
            extra={"order": self._failed.order_id, "refund": self._failed.provider_id, "code": refund.code},
        )


async def start_failed_refund_child(failed: FailedRefundInput) -> None:
    """Start it from another workflow, without waiting."""
    summary = "a refund that failed after it had succeeded"
    await start_detached_child(FailedRefundWorkflow.run, failed, failed_refund_workflow_id(failed.provider_id), summary)
