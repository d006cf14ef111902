"""What a workflow keeps of the payment provider's events, and how it starts a child that follows one up."""

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
    """Whether an event has not been followed up yet. Events are never believed: the provider is asked."""

    def __init__(self, timeline: Timeline, *, unread: bool = False) -> None:
        self._timeline = timeline
        self.unread = unread

    def receive(self, event: ProviderEvent) -> None:
        """A verified webhook about the workflow's subject."""
        self.unread = True
        self._timeline.add(f"provider event `{event.type}`")

    def take(self) -> bool:
        """Whether there is one. It counts as read from now on; another may arrive while the provider is asked."""
        was, self.unread = self.unread, False
        return was


async def start_detached_child(
    run: Callable[..., Awaitable[Any]],
    subject: OrphanedPaymentInput | FailedRefundInput,
    workflow_id: str,
    summary: str,
) -> None:
    """Start a child and do not wait for it; one that runs already, because of a webhook, goes on."""
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
