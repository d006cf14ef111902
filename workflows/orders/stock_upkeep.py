"""The workflows that keep stock honest by the clock: reservations nobody minds expire, and the books are compared."""

from temporalio import workflow

from activities.stock_upkeep import StockUpkeepActivities
from schemas.stock_upkeep import ReconcileStock, ReservationsExpired, StockReconciled
from workflows.options import STOCK_UPKEEP


@workflow.defn
class ReservationExpiryWorkflow:
    """Gives back what is reserved for orders whose workflow is gone; an order at work extends its own."""

    @workflow.run
    async def run(self) -> ReservationsExpired:
        """Look once."""
        done = await workflow.execute_activity_method(
            StockUpkeepActivities.expire_reservations, summary="reservations past their time", **STOCK_UPKEEP
        )
        left = f"; left to workflows that are at work: {done.running_count}" if done.running_count else ""
        names = "".join(f"\n- `{order_id}`" for order_id in done.running)
        workflow.set_current_details(
            f"**{done.released} reservation(s) expired**, {done.units} unit(s) given back{left}{names}"
        )
        return done


@workflow.defn
class StockReconciliationWorkflow:
    """Proves that ledger, balances and reservations say the same, and keeps what was found."""

    @workflow.run
    async def run(self) -> StockReconciled:
        """Compare everything once."""
        found = await workflow.execute_activity_method(
            StockUpkeepActivities.reconcile_stock,
            ReconcileStock(started_at=workflow.now()),
            summary="ledger = balances = reservations?",
            **STOCK_UPKEEP,
        )
        verdict = "⚠ **the books disagree**" if found.differences_found else "**the books agree**"
        workflow.set_current_details(
            f"{verdict}: {found.differences_found} difference(s) in {found.levels_checked:,} level(s); "
            "`GET /v1/ops/reconciliation` names them"
        )
        return found
