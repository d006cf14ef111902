"""The scheduled sweep that finds what no workflow looks after any more; staff have it adopted."""

from temporalio import workflow

from activities.order_sweep import OrderSweepActivities
from schemas.order_sweep import OrdersSwept
from workflows.names import ORDER_SWEEP_ID
from workflows.options import STOCK_UPKEEP
from workflows.schedule_runs import record_success


@workflow.defn
class OrderSweepWorkflow:
    """Lists orders open in MySQL whose workflow is gone, and the opposite; the sweep that finds one mended ends it."""

    @workflow.run
    async def run(self) -> OrdersSwept:
        swept = await workflow.execute_activity_method(
            OrderSweepActivities.sweep_orders, summary="orders, and the workflows they should have", **STOCK_UPKEEP
        )
        verdict = "⚠ **found**" if swept.without_workflow else "**nothing found**"
        names = "".join(f"\n- `{order_id}`" for order_id in swept.orders)
        workflow.set_current_details(
            f"{verdict}: {swept.without_workflow} finding(s) in {swept.looked_at} order(s), {swept.mended} mended; "
            f"`GET /v1/ops/tasks` lists them{names}"
        )
        await record_success(ORDER_SWEEP_ID)
        return swept
