"""Announces products that changed without an edit: scheduled prices, a renamed brand or category, what they sell."""

from typing import TYPE_CHECKING

from temporalio import activity

if TYPE_CHECKING:
    from adapters.mysql.catalog.price_changes import PriceChanges
    from adapters.mysql.catalog.sales import ProductSales
    from adapters.mysql.catalog.taxonomy_changes import TaxonomyChanges


class CatalogActivities:
    """Each runs short transactions that record their progress, so a repeat continues from there."""

    def __init__(self, prices: "PriceChanges", taxonomy: "TaxonomyChanges", sales: "ProductSales") -> None:
        self._prices = prices
        self._taxonomy = taxonomy
        self._sales = sales

    @activity.defn
    def announce_price_changes(self) -> int:
        """Announce every product with a price that began or ended since the last run; answers how many."""
        return self._prices.announce(activity.heartbeat)

    @activity.defn
    def announce_taxonomy_changes(self) -> int:
        """Announce every product of a brand or category that was renamed or moved; answers how many."""
        return self._taxonomy.announce(activity.heartbeat)

    @activity.defn
    def count_sales(self) -> int:
        """Count what products sold lately; answers for how many the count has changed."""
        return self._sales.count(activity.heartbeat, *activity.info().heartbeat_details)
