"""Workflows that send mail: about an order's event, about an account, and reminders of carts."""

from temporalio import workflow

from activities.account_mails import AccountMailActivities
from activities.cart_reminders import CartReminderActivities
from activities.notifications import NotificationActivities
from schemas.account_mails import AccountMailInput, AccountMailSent
from schemas.carts import CartsReminded
from schemas.notifications import NotificationInput, NotificationSent
from workflows.options import CART_REMINDERS, MAIL
from workflows.outage import retry_until_answered
from workflows.timeline import Timeline


@workflow.defn
class NotificationWorkflow:
    """One mail about one event; its id is made of the event's, so a repeated event sends nothing twice."""

    @workflow.init
    def __init__(self, event: NotificationInput) -> None:
        self._event = event
        headline = f"Mail about `{event.type}`, event {event.seq} of order `{event.order_id}`"
        self._timeline = Timeline(headline, event.order_id)
        self._timeline.add("to be sent")

    @workflow.run
    async def run(self, event: NotificationInput) -> NotificationSent:
        text = f"mail: {event.type}"
        sent = await retry_until_answered(NotificationActivities.send_mail, event, text, self._timeline, MAIL)
        self._timeline.add(f"sent as `{sent.message_id}`")
        return sent


@workflow.defn
class AccountMailWorkflow:
    """One mail about an account. It knows the mail's id alone: no address and no link may stand in a history."""

    @workflow.run
    async def run(self, mail: AccountMailInput) -> AccountMailSent:
        timeline, text = Timeline("Mail about an account"), "mail about an account"
        return await retry_until_answered(AccountMailActivities.send_account_mail, mail, text, timeline, MAIL)


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
