"""PopularityWorkflow has products that sell stand before those that do not: what was sold counts as popularity."""

from temporalio import workflow

from activities.catalog import CatalogActivities
from schemas.catalog import SalesCounted
from workflows.options import CATALOG_CHANGES


@workflow.defn
class PopularityWorkflow:
    """Counts once. The products that sold more or less than before are announced, and the search index follows."""

    @workflow.run
    async def run(self) -> SalesCounted:
        """Count all there is."""
        changed = await workflow.execute_activity_method(
            CatalogActivities.count_sales, summary="units sold lately", **CATALOG_CHANGES
        )
        workflow.set_current_details(f"{changed:,} products sold more or less than before")
        return SalesCounted(changed=changed)
