"""Workflows that send mail: about an order's event, about an account, and reminders of carts."""

from collections.abc import Callable
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.account_mails import AccountMailActivities
from activities.cart_reminders import CartReminderActivities
from activities.notifications import NotificationActivities
from schemas.account_mails import AccountMailInput, AccountMailSent
from schemas.carts import CartsReminded
from schemas.notifications import NotificationInput, NotificationSent
from schemas.operator_tasks import OperatorTaskCode
from workflows.names import CART_REMINDERS_ID
from workflows.options import CART_REMINDERS, MAIL
from workflows.outage import retry_until_answered
from workflows.reasons import reason_of
from workflows.schedule_runs import record_success
from workflows.timeline import Timeline

C = TypeVar("C")
R = TypeVar("R")


@workflow.defn
class NotificationWorkflow:
    """One mail about one event; its id is made of the event's, so a repeated event sends nothing twice."""

    @workflow.init
    def __init__(self, event: NotificationInput) -> None:
        self._timeline = Timeline(
            f"Mail about `{event.type}`, event {event.seq} of order `{event.order_id}`", event.order_id
        )
        self._timeline.add("to be sent")

    @workflow.run
    async def run(self, event: NotificationInput) -> NotificationSent:
        sent = await _deliver(NotificationActivities.send_mail, event, f"mail: {event.type}", self._timeline)
        self._timeline.add(f"sent as `{sent.message_id}`")
        return sent


@workflow.defn
class AccountMailWorkflow:
    """One mail about an account. It knows the mail's id alone: no address and no link may stand in a history."""

    @workflow.run
    async def run(self, mail: AccountMailInput) -> AccountMailSent:
        timeline = Timeline("Mail about an account")
        return await _deliver(AccountMailActivities.send_account_mail, mail, "mail about an account", timeline)


async def _deliver(call: Callable[[Any, C], R], mail: C, summary: str, timeline: Timeline) -> R:
    """Send it however long the mail server is away; what can never be delivered needs an operator."""
    try:
        return await retry_until_answered(call, mail, summary, timeline, MAIL)
    except ActivityError as error:
        if not is_cancelled_exception(error):
            refusal = reason_of(error)
            timeline.needs_operator(
                [f"{summary}: undeliverable (`{refusal.code}`)"],
                about=summary,
                code=OperatorTaskCode.MAIL_UNSENT,
                outlasts=True,
            )
            workflow.logger.error("a mail cannot be delivered", extra={"mail": summary, "code": refusal.code})
        raise


@workflow.defn
class CartReminderWorkflow:
    """Scheduled: mails customers who have opted in about carts they abandoned, once for each version of a cart."""

    @workflow.run
    async def run(self) -> CartsReminded:
        done = await workflow.execute_activity_method(
            CartReminderActivities.remind_of_carts, summary="abandoned carts", **CART_REMINDERS
        )
        workflow.set_current_details(f"**{done.mails} mail(s) started** for {done.carts} abandoned cart(s)")
        await record_success(CART_REMINDERS_ID)
        return done
