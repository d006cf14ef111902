"""Orders: pricing, placing, status changes."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from schemas.address_changes import AddressRecorded, RecordAddress
from schemas.checkout import PricedOrder, PriceOrder
from schemas.orders import (
    AdoptedOrder,
    AdoptOrder,
    OrderPlaced,
    OrderShortened,
    PlaceOrder,
    RecordStatus,
    StatusRecorded,
    TakeAvailable,
)

if TYPE_CHECKING:
    from adapters.mysql.orders.orders import OrderStore
    from adapters.mysql.orders.prices import OrderPrices


class OrderActivities:
    """Short transactions on our own database; all are run as local activities."""

    def __init__(self, orders: "OrderStore", prices: "OrderPrices") -> None:
        self._orders = orders
        self._prices = prices

    @activity.defn
    def price_order(self, command: PriceOrder) -> PricedOrder:
        """Price the lines by the catalog, never by the client; refuses unknown products and shipping methods.

        A worker killed after it has placed the order could not report it: the order then costs what it was placed at,
        whatever has become of the catalog since.
        """
        with typed_failures():
            placed = self._orders.quote_of(command.order_id) if command.order_id else None
            return placed or self._prices.price(command, datetime.now(UTC))

    @activity.defn
    def place_order(self, command: PlaceOrder) -> OrderPlaced:
        """Record the order and reserve its stock, both or neither; refuses what is out of stock."""
        with typed_failures():
            return self._orders.place(command)

    @activity.defn
    def adopt_order(self, command: AdoptOrder) -> AdoptedOrder:
        """Record that a new workflow takes the order over, and read what is recorded of it."""
        with typed_failures():
            return self._orders.adopt(command)

    @activity.defn
    def take_available(self, command: TakeAvailable) -> OrderShortened:
        """Reduce the order to what was available."""
        with typed_failures():
            return self._orders.take_available(command)

    @activity.defn
    def change_address(self, command: RecordAddress) -> AddressRecorded:
        """Write the order's address, with what it costs there; refuses an address where it would cost more."""
        with typed_failures():
            return self._orders.change_address(command, self._prices.tax_classes)

    @activity.defn
    def record_status(self, command: RecordStatus) -> StatusRecorded:
        """Move the order to a status, with its event."""
        with typed_failures():
            return self._orders.record_status(command)
