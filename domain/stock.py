"""What stock means: what each kind of movement does, and when a SKU can be had, cannot, or runs low."""

from dataclasses import dataclass
from enum import StrEnum

from domain.events import EventType


class MovementKind(StrEnum):
    """Why a balance changed; each change is one row of the ledger."""

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
    """What the shop wants of a SKU: sold beyond what is there or not, and when to say that it runs low (0: never)."""

    backorderable: bool = False
    low_stock_at: int = 0


@dataclass(frozen=True)
class Standing:
    """How a SKU stands, over all warehouses, in units."""

    available: int
    rule: StockRule

    @property
    def sellable(self) -> bool:
        """A unit can be ordered now, from stock or on backorder. The search index has the same rule in SQL."""
        return self.available > 0 or self.rule.backorderable

    @property
    def low(self) -> bool:
        """There is as little as the shop wanted to hear of."""
        return 0 < self.rule.low_stock_at >= self.available


def flips(before: Standing, after: Standing) -> list[EventType]:
    """The types of the events that tell of the change; none when nothing a customer or a buyer cares about flipped."""
    found = []
    if before.sellable != after.sellable:
        found.append(EventType.STOCK_BACK if after.sellable else EventType.STOCK_OUT)
    if after.low and not before.low:
        found.append(EventType.STOCK_LOW)
    return found
