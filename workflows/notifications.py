"""Workflows that send mail: about an order's event, about an account, and reminders of carts."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.account_mails import AccountMailActivities
from activities.cart_reminders import CartReminderActivities
from activities.notifications import NotificationActivities
from schemas.account_mails import AccountMailInput, AccountMailSent
from schemas.carts import CartsReminded
from schemas.notifications import NotificationInput, NotificationSent
from workflows.options import CART_REMINDERS

_MAIL_SECONDS = timedelta(seconds=60)
_UNTIL_SENT = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=1)
)


@workflow.defn
class NotificationWorkflow:
    """One mail about one event; its id is made of the event's, so a repeated event sends nothing twice."""

    @workflow.init
    def __init__(self, event: NotificationInput) -> None:
        self._event = event
        workflow.set_current_details(f"Mail about `{event.type}`, event {event.seq} of order `{event.order_id}`")

    @workflow.run
    async def run(self, event: NotificationInput) -> NotificationSent:
        sent = await workflow.execute_activity_method(
            NotificationActivities.send_mail,
            event,
            start_to_close_timeout=_MAIL_SECONDS,
            retry_policy=_UNTIL_SENT,
            summary=f"mail: {event.type}",
        )
        workflow.set_current_details(f"{workflow.get_current_details()}\n\nSent as `{sent.message_id}`.")
        return sent


@workflow.defn
class AccountMailWorkflow:
    """One mail about an account. It knows the mail's id alone: no address and no link may stand in a history."""

    @workflow.run
    async def run(self, mail: AccountMailInput) -> AccountMailSent:
        return await workflow.execute_activity_method(
            AccountMailActivities.send_account_mail,
            mail,
            start_to_close_timeout=_MAIL_SECONDS,
            retry_policy=_UNTIL_SENT,
            summary="mail about an account",
        )


@workflow.defn
class CartReminderWorkflow:
    """Scheduled: mails customers who have opted in about carts they abandoned, once for each version of a cart."""

    @workflow.run
    async def run(self) -> CartsReminded:
        done = await workflow.execute_activity_method(
            CartReminderActivities.remind_of_carts, summary="abandoned carts", **CART_REMINDERS
        )
        workflow.set_current_details(f"**{done.mails} mail(s) started** for {done.carts} abandoned cart(s)")
        return done
