"""CatalogChangesWorkflow announces what changed about products without an edit of theirs.

A schedule starts it every minute; a change of a shelf starts it at once, and is told by the schedule if that fails.
"""

from temporalio import workflow

from activities.catalog import CatalogActivities
from schemas.catalog import Announced
from workflows.options import CATALOG_CHANGES


@workflow.defn
class CatalogChangesWorkflow:
    """Prices that began or ended → shelves that were renamed or moved."""

    @workflow.run
    async def run(self) -> Announced:
        """Announce all there is."""
        by_prices = await workflow.execute_activity_method(
            CatalogActivities.announce_price_changes, summary="prices that began or ended", **CATALOG_CHANGES
        )
        by_taxonomy = await workflow.execute_activity_method(
            CatalogActivities.announce_taxonomy_changes, summary="shelves that were renamed or moved", **CATALOG_CHANGES
        )
        workflow.set_current_details(
            f"{by_prices:,} products announced for their price, {by_taxonomy:,} for their shelf"
        )
        return Announced(by_prices=by_prices, by_taxonomy=by_taxonomy)
