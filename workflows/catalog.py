"""Scheduled workflows of the catalog: changes without an edit are announced, and sales are counted."""

from temporalio import workflow

from activities.catalog import CatalogActivities
from schemas.catalog import Announced, SalesCounted
from workflows.names import CATALOG_CHANGES_ID, POPULARITY_ID
from workflows.options import CATALOG_CHANGES
from workflows.schedule_runs import record_success


@workflow.defn
class CatalogChangesWorkflow:
    """Announces prices that began or ended, then products whose brand or category was renamed or moved.

    A schedule starts it every minute; a change of the taxonomy starts it at once.
    """

    @workflow.run
    async def run(self) -> Announced:
        by_prices = await workflow.execute_activity_method(
            CatalogActivities.announce_price_changes, summary="prices that began or ended", **CATALOG_CHANGES
        )
        by_taxonomy = await workflow.execute_activity_method(
            CatalogActivities.announce_taxonomy_changes,
            summary="brands and categories that were renamed or moved",
            **CATALOG_CHANGES,
        )
        workflow.set_current_details(
            f"{by_prices:,} products announced for their price, {by_taxonomy:,} for their brand or category"
        )
        await record_success(CATALOG_CHANGES_ID)
        return Announced(by_prices=by_prices, by_taxonomy=by_taxonomy)


@workflow.defn
class PopularityWorkflow:
    """Counts the units sold once; products whose count changed are announced, and the search index follows."""

    @workflow.run
    async def run(self) -> SalesCounted:
        changed = await workflow.execute_activity_method(
            CatalogActivities.count_sales, summary="count recent sales", **CATALOG_CHANGES
        )
        workflow.set_current_details(f"{changed:,} products sold more or fewer units than at the last count")
        await record_success(POPULARITY_ID)
        return SalesCounted(changed=changed)
