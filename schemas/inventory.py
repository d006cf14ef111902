"""Stock: reservations and what is shown of them."""

from schemas.base import Payload


class ReleaseStock(Payload):
    """Give back whatever the order still holds; repeat-safe, holding nothing is fine."""

    order_id: str
    actor: str
    reason: str


class StockReleased(Payload):
    """So many units went back on sale."""

    units: int


class StockLevel(Payload):
    """One SKU in one warehouse, in units; available = on_hand - reserved."""

    sku: str
    warehouse: str
    on_hand: int
    reserved: int
    available: int
