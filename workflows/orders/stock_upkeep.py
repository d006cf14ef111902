"""Scheduled workflows of the stock: lost orders' reservations expire, and ledger and balances are compared."""

from temporalio import workflow

from activities.stock_upkeep import StockUpkeepActivities
from schemas.stock_upkeep import ReconcileStock, ReservationsExpired, StockReconciled
from workflows.names import RESERVATION_EXPIRY_ID, STOCK_RECONCILIATION_ID
from workflows.options import STOCK_UPKEEP
from workflows.schedule_runs import record_success


@workflow.defn
class ReservationExpiryWorkflow:
    """Releases what is reserved for orders whose workflow no longer runs; a running order extends its own."""

    @workflow.run
    async def run(self) -> ReservationsExpired:
        done = await workflow.execute_activity_method(
            StockUpkeepActivities.expire_reservations, summary="expired reservations", **STOCK_UPKEEP
        )
        kept = f"; kept for running workflows: {done.running_count}" if done.running_count else ""
        names = "".join(f"\n- `{order_id}`" for order_id in done.running)
        workflow.set_current_details(
            f"**{done.released} reservation(s) expired**, {done.units} unit(s) released{kept}{names}"
        )
        await record_success(RESERVATION_EXPIRY_ID)
        return done


@workflow.defn
class StockReconciliationWorkflow:
    """Checks that ledger, balances and reservations agree, and records the result."""

    @workflow.run
    async def run(self) -> StockReconciled:
        found = await workflow.execute_activity_method(
            StockUpkeepActivities.reconcile_stock,
            ReconcileStock(started_at=workflow.now()),
            summary="compare ledger, balances and reservations",
            **STOCK_UPKEEP,
        )
        verdict = "⚠ **differences found**" if found.differences_found else "**no differences**"
        workflow.set_current_details(
            f"{verdict}: {found.differences_found} difference(s) in {found.levels_checked:,} level(s); "
            "`GET /v1/ops/reconciliation` lists them"
        )
        await record_success(STOCK_RECONCILIATION_ID)
        return found
