"""Telling of products that changed without an edit of theirs: by the clock, by their shelf, by what they sell."""

from typing import TYPE_CHECKING

from temporalio import activity

if TYPE_CHECKING:
    from adapters.mysql.catalog.price_changes import PriceChanges
    from adapters.mysql.catalog.sales import ProductSales
    from adapters.mysql.catalog.taxonomy_changes import TaxonomyChanges


class CatalogActivities:
    """Each works through short transactions that remember how far they came, so a repeat goes on from there."""

    def __init__(self, prices: "PriceChanges", shelves: "TaxonomyChanges", sales: "ProductSales") -> None:
        self._prices = prices
        self._shelves = shelves
        self._sales = sales

    @activity.defn
    def announce_price_changes(self) -> int:
        """Announce every product whose price began or ended since the last look; answers how many."""
        return self._prices.announce(activity.heartbeat)

    @activity.defn
    def announce_taxonomy_changes(self) -> int:
        """Announce every product on a shelf that was renamed or moved; answers how many."""
        return self._shelves.announce(activity.heartbeat)

    @activity.defn
    def count_sales(self) -> int:
        """Count what products sold lately; answers how many of them sold more or less than when it was counted last."""
        return self._sales.count(activity.heartbeat, *activity.info().heartbeat_details)
