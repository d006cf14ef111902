"""FailedRefundWorkflow books that a refund which had succeeded has come back to us, and calls for a person."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow

from activities.refunds import RefundActivities
from schemas.payments import PaymentOutcome, ProviderResult, RetrieveRefund
from schemas.provider_events import ProviderEvent
from schemas.refunds import FailedRefundInput, RefundReversed, ReverseRefund
from workflows.names import failed_refund_workflow_id
from workflows.options import PROVIDER, STORE
from workflows.payments.provider_events import ProviderEventInbox, start_detached_child
from workflows.timeline import Timeline, money
from workflows.waiting import run_to_completion

# The refund's own workflow may be about to book it; after that the reconciliation finds what it has booked.
_WAITS: Sequence[timedelta] = (
    timedelta(seconds=2),
    timedelta(seconds=20),
    timedelta(minutes=2),
    timedelta(minutes=20),
)


@workflow.defn
class FailedRefundWorkflow:
    """ask the provider → book the reversal, once → call for a person; does nothing where the refund stands."""

    @workflow.init
    def __init__(self, failed: FailedRefundInput) -> None:
        self._failed = failed
        self._timeline = Timeline(f"Refund {failed.provider_id} of order {failed.order_id}")
        self._news = ProviderEventInbox(self._timeline, unread=True)
        self._result = RefundReversed()

    @workflow.run
    async def run(self, failed: FailedRefundInput) -> RefundReversed:  # noqa: ARG002 - the init has taken it
        """Look as often as there is news, until it is booked."""
        return await run_to_completion(self._follow(), self._timeline.add)

    async def _follow(self) -> RefundReversed:
        while not self._result.amount and self._news.take():
            await self._look()
        return self._result

    @workflow.signal
    def provider_event(self, event: ProviderEvent) -> None:
        """A verified webhook about this refund."""
        self._news.hear(event)

    async def _look(self) -> None:
        standing = await workflow.execute_activity_method(
            RefundActivities.retrieve_refund,
            RetrieveRefund(order_id=self._failed.order_id, provider_id=self._failed.provider_id),
            summary="ask how the refund stands",
            **PROVIDER,
        )
        if standing.outcome is not PaymentOutcome.DECLINED:
            self._timeline.add(f"left as it is: the provider calls it {standing.outcome}")
            return
        for wait in (*_WAITS, None):
            await self._reverse(standing)
            if not self._result.pending or wait is None:
                break
            await workflow.sleep(wait, summary="until its own workflow has booked it")
        if self._result.amount:
            self._call_for_somebody(standing)
        else:
            self._timeline.add("left as it is: our books have nothing of it")

    async def _reverse(self, standing: ProviderResult) -> None:
        command = ReverseRefund(
            order_id=self._failed.order_id,
            provider_id=self._failed.provider_id,
            refund_id=self._failed.refund_id,
            code=standing.code or "refund_failed",
        )
        self._result = await workflow.execute_local_activity_method(
            RefundActivities.reverse_refund, command, summary="book that it has come back", **STORE
        )

    def _call_for_somebody(self, standing: ProviderResult) -> None:
        amount = money(self._result.amount, self._result.currency)
        self._timeline.add(f"**failed after it had succeeded**: `{standing.code}`, {amount} came back")
        way = f"`POST /v1/ops/orders/{self._failed.order_id}/refunds`"
        self._timeline.owe([f"{amount} has not reached the customer; give it back another way: {way}"])
        workflow.logger.error(
            "a refund has failed after it had succeeded",
            extra={"order": self._failed.order_id, "refund": self._failed.provider_id, "code": standing.code},
        )


async def begin_failed_refund(failed: FailedRefundInput) -> None:
    """Have another workflow begin it, and not wait."""
    summary = "a refund that has failed after it had succeeded"
    await start_detached_child(FailedRefundWorkflow.run, failed, failed_refund_workflow_id(failed.provider_id), summary)
