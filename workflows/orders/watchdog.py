"""The watchdog, one scheduled look at all orders: what takes too long is listed, reminded of, escalated, decided."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.unanswered_tasks import OverdueDecisionActivities, StaffMailActivities
from activities.watchdog import WatchdogActivities
from schemas.watchdog import OrdersWatched
from workflows.names import NOTIFICATIONS_QUEUE, WATCHDOG_ID
from workflows.options import MAIL, STOCK_UPKEEP
from workflows.schedule_runs import record_success

# While a run waits no other begins: what cannot be mailed by then is mailed by a later one.
_MAIL_PATIENCE = timedelta(minutes=3)


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
        mailed = await self._remind_staff()
        names = "".join(f"\n- `{order_id}`" for order_id in watched.orders)
        workflow.set_current_details(
            f"**{watched.overdue} order(s) overdue**, with {watched.late_parcels} late parcel(s) and "
            f"{watched.backorders} backorder(s) over time; {watched.ended} no longer. {decided.decided} decided by "
            f"rule ({decided.refused} refused). {mailed}. `GET /v1/ops/tasks` lists them{names}"
        )
        await record_success(WATCHDOG_ID)
        return watched

    async def _remind_staff(self) -> str:
        try:
            done = await workflow.execute_activity_method(
                StaffMailActivities.remind_staff,
                summary="remind staff",
                task_queue=NOTIFICATIONS_QUEUE,
                schedule_to_close_timeout=_MAIL_PATIENCE,
                **MAIL,
            )
        except ActivityError as error:
            workflow.logger.error("staff could not be mailed: %s", error.cause)
            return "⚠ Staff could not be mailed"
        return f"{done.reminded} reminder(s), {done.escalated} escalation(s)"
