"""Telling of products that changed without an edit of theirs: a price began or ended, a shelf was renamed."""

from typing import TYPE_CHECKING

from temporalio import activity

if TYPE_CHECKING:
    from adapters.mysql.price_changes import PriceChanges
    from adapters.mysql.shelf_news import ShelfNews


class CatalogActivities:
    """Each works through short transactions that remember how far they came, so a repeat goes on from there."""

    def __init__(self, prices: "PriceChanges", shelves: "ShelfNews") -> None:
        self._prices = prices
        self._shelves = shelves

    @activity.defn
    def announce_price_changes(self) -> int:
        """Announce every product whose price began or ended since the last look; answers how many."""
        return self._prices.announce(activity.heartbeat)

    @activity.defn
    def announce_shelf_changes(self) -> int:
        """Announce every product on a shelf that was renamed or moved; answers how many."""
        return self._shelves.announce(activity.heartbeat)
