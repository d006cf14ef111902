"""The workflow that reminds customers of carts they left alone, by the clock."""

from temporalio import workflow

from activities.cart_reminders import CartReminderActivities
from schemas.carts import CartsReminded
from workflows.options import CART_REMINDERS


@workflow.defn
class CartReminderWorkflow:
    """Mails those who have asked for such mails, once for each cart as it is."""

    @workflow.run
    async def run(self) -> CartsReminded:
        """Look once."""
        done = await workflow.execute_activity_method(
            CartReminderActivities.remind_of_carts, summary="carts left alone", **CART_REMINDERS
        )
        workflow.set_current_details(f"**{done.mails} mail(s) begun**; {done.carts} cart(s) had been left alone")
        return done
