"""What a workflow hears of the payment provider's webhooks, and how another has one begin that asks the provider."""

from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

from schemas.payment_reconciliation import OrphanedPaymentInput
from schemas.provider_events import ProviderEvent
from schemas.refunds import FailedRefundInput
from workflows.names import PAYMENTS_QUEUE
from workflows.timeline import Timeline


class ProviderEventInbox:
    """Whether there is news that was not looked into yet. It is never believed: the provider is asked."""

    def __init__(self, timeline: Timeline, *, unread: bool = False) -> None:
        self._timeline = timeline
        self.unread = unread

    def hear(self, event: ProviderEvent) -> None:
        """A verified webhook about what the workflow minds."""
        self.unread = True
        self._timeline.add(f"provider tells of `{event.type}`")

    def take(self) -> bool:
        """Whether there is any; it counts as read from now on, and what comes while the provider is asked as new."""
        was, self.unread = self.unread, False
        return was


async def start_detached_child(
    run: Callable[..., Awaitable[Any]],
    subject: OrphanedPaymentInput | FailedRefundInput,
    workflow_id: str,
    summary: str,
) -> None:
    """Have a child mind the subject, and not wait for it; one that runs already, because a webhook came, goes on."""
    try:
        await workflow.start_child_workflow(
            run,
            subject,
            id=workflow_id,
            task_queue=PAYMENTS_QUEUE,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=summary,
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("%s of %s runs already", workflow_id, subject.order_id)
