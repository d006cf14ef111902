"""The watchdog, one scheduled look at all orders: what takes too long is listed, reminded of, escalated, decided."""

from temporalio import workflow

from activities.unanswered_tasks import OverdueDecisionActivities, StaffMailActivities
from activities.watchdog import WatchdogActivities
from schemas.watchdog import OrdersWatched
from workflows.names import NOTIFICATIONS_QUEUE
from workflows.options import MAIL, STOCK_UPKEEP


@workflow.defn
class WatchdogWorkflow:
    """No order has a timer for this: whatever may have happened to its workflow, MySQL says how long it has taken."""

    @workflow.run
    async def run(self) -> OrdersWatched:
        watched = await workflow.execute_activity_method(
            WatchdogActivities.watch_orders, summary="orders that take longer than expected", **STOCK_UPKEEP
        )
        decided = await workflow.execute_activity_method(
            OverdueDecisionActivities.decide_overdue, summary="what nobody has answered", **STOCK_UPKEEP
        )
        # Last, because the mail server may be away for long: nothing else waits for that, and the next run goes on.
        reminded = await workflow.execute_activity_method(
            StaffMailActivities.remind_staff, summary="remind staff", task_queue=NOTIFICATIONS_QUEUE, **MAIL
        )
        names = "".join(f"\n- `{order_id}`" for order_id in watched.orders)
        workflow.set_current_details(
            f"**{watched.overdue} order(s) overdue**, with {watched.late_parcels} late parcel(s) and "
            f"{watched.backorders} backorder(s) over time; {watched.ended} no longer. {reminded.reminded} reminder(s), "
            f"{reminded.escalated} escalation(s), {decided.decided} decided by rule ({decided.refused} refused). "
            f"`GET /v1/ops/tasks` lists them{names}"
        )
        return watched
