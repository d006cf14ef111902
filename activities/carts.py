"""What an order does to the cart it came from."""

from typing import TYPE_CHECKING

from temporalio import activity

from schemas.carts import CompleteCart

if TYPE_CHECKING:
    from adapters.carts.store import CartStore
    from adapters.mysql.orders.orders import OrderStore


class CartActivities:
    """One short change of MongoDB, run as a local activity: retried for as long as the cart store is away."""

    def __init__(self, carts: "CartStore", orders: "OrderStore") -> None:
        self._carts = carts
        self._orders = orders

    @activity.defn
    def complete_cart(self, command: CompleteCart) -> None:
        """Remove what was ordered from the cart; what was added after the checkout stays."""

        def ordered() -> dict[str, int]:
            order = self._orders.get(command.order_id)
            return {line.sku: line.quantity for line in order.lines} if order is not None else {}

        self._carts.complete(command.owner, command.cart_id, command.version, command.order_id, ordered)
