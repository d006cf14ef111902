"""NotificationWorkflow tells one customer of one event, however long the mail server is away."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.notifications import NotificationActivities
from schemas.notifications import NotificationInput, NotificationSent

_MAIL_SECONDS = timedelta(seconds=60)
_UNTIL_SENT = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=1)
)


@workflow.defn
class NotificationWorkflow:
    """Its id is made of the event's, so an event that arrives twice is told once."""

    @workflow.init
    def __init__(self, event: NotificationInput) -> None:
        self._event = event
        workflow.set_current_details(f"Mail about `{event.type}`, event {event.seq} of order `{event.order_id}`")

    @workflow.run
    async def run(self, event: NotificationInput) -> NotificationSent:
        """Send the mail."""
        sent = await workflow.execute_activity_method(
            NotificationActivities.send_mail,
            event,
            start_to_close_timeout=_MAIL_SECONDS,
            retry_policy=_UNTIL_SENT,
            summary=f"mail: {event.type}",
        )
        workflow.set_current_details(f"{workflow.get_current_details()}\n\nSent as `{sent.message_id}`.")
        return sent
