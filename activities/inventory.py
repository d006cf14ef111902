"""What is done to stock apart from placing and shipping, which belong to the order's own transactions."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from schemas.inventory import ReleaseStock, StockReleased

if TYPE_CHECKING:
    from adapters.mysql.inventory import Stock


class InventoryActivities:
    """Short transactions on our own database; run as local activities."""

    def __init__(self, stock: "Stock") -> None:
        self._stock = stock

    @activity.defn
    def release_stock(self, command: ReleaseStock) -> StockReleased:
        """Give back what the order still holds: the undo of reserving."""
        with typed_failures():
            return self._stock.release(command)
