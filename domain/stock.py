"""Stock: the effect of each kind of movement, and when a SKU is available, out of stock or low."""

from dataclasses import dataclass
from enum import StrEnum

from domain.events import EventType


class MovementKind(StrEnum):
    """The kind of a stock movement; each is one row of the ledger."""

    RECEIVED = "received"
    RESERVED = "reserved"
    RELEASED = "released"
    SHIPPED = "shipped"
    RESTOCKED = "restocked"
    ADJUSTED = "adjusted"


# What one unit of a movement adds to (on hand, reserved). Only an adjustment may have a negative quantity.
EFFECTS: dict[MovementKind, tuple[int, int]] = {
    MovementKind.RECEIVED: (1, 0),
    MovementKind.RESERVED: (0, 1),
    MovementKind.RELEASED: (0, -1),
    MovementKind.SHIPPED: (-1, -1),
    MovementKind.RESTOCKED: (1, 0),
    MovementKind.ADJUSTED: (1, 0),
}


@dataclass(frozen=True)
class StockRule:
    """The stock settings of a SKU: whether it can be backordered, and from how many units it is low (0: never)."""

    backorderable: bool = False
    low_stock_at: int = 0


@dataclass(frozen=True)
class Standing:
    """The availability of a SKU over all warehouses, in units."""

    available: int
    rule: StockRule

    @property
    def sellable(self) -> bool:
        """It can be ordered now, from stock or on backorder. The search index has the same rule in SQL."""
        return self.available > 0 or self.rule.backorderable

    @property
    def low(self) -> bool:
        """The available units are at or below the threshold."""
        return 0 < self.rule.low_stock_at >= self.available


def flips(before: Standing, after: Standing) -> list[EventType]:
    """The types of the events for the change; none when neither availability nor low stock changed."""
    found = []
    if before.sellable != after.sellable:
        found.append(EventType.STOCK_BACK if after.sellable else EventType.STOCK_OUT)
    if after.low and not before.low:
        found.append(EventType.STOCK_LOW)
    return found
