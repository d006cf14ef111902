"""What an order does to the cart it came from."""

from typing import TYPE_CHECKING

from temporalio import activity

from schemas.carts import CompleteCart

if TYPE_CHECKING:
    from adapters.carts import CartStore


class CartActivities:
    """Run as a regular activity: the cart store may be away while the order goes on."""

    def __init__(self, carts: "CartStore") -> None:
        self._carts = carts

    @activity.defn
    def complete_cart(self, command: CompleteCart) -> None:
        """Empty the cart that became this order; a cart that has changed since is left as it is."""
        self._carts.complete(command.owner, command.cart_id, command.version, command.order_id)
