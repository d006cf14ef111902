"""A cart on its way to an order: is it the one the customer saw, what does it cost, does it cost more than shown."""

from dataclasses import dataclass
from datetime import UTC, datetime

from adapters.mysql.orders.prices import OrderPrices
from api.cart_views import cart_view
from api.deps import Services
from api.quotes import Destination, ShownQuote
from domain.errors import CartChanged, EmptyCart, QuoteChanged, QuoteExpired
from schemas.carts import Cart
from schemas.checkout import CheckoutRequest, OrderLineInput, PricedOrder, PriceOrder
from schemas.quotes import QuoteRequest, QuoteView


@dataclass(frozen=True)
class PricedCart:
    """A cart as it is now, at the prices of now."""

    cart: Cart
    command: PriceOrder
    priced: PricedOrder

    def quote(self, everything: Services) -> QuoteView:
        """What is shown of it."""
        to = Destination(self.command.country, self.command.shipping_method)
        return everything.quotes.show(self.cart, self.priced, to)


def current_cart(everything: Services, owner: str, version: int | None) -> Cart:
    """The owner's cart; raises CartChanged with the cart unless it has this version, EmptyCart."""
    cart = everything.carts.current(owner)
    if version is not None and cart.version != version:
        raise cart_changed(everything, cart, f"The cart has version {cart.version}, not {version}.")
    if not cart.items:
        raise EmptyCart("There is nothing in the cart.")
    return cart


def cart_changed(everything: Services, cart: Cart, message: str) -> CartChanged:
    """The refusal that shows the cart as it is now."""
    shown = cart_view(cart, everything.catalog, everything.stock)
    return CartChanged(message, cart=shown, changed=["cart"])


def price_cart(
    everything: Services, cart: Cart, wanted: CheckoutRequest | QuoteRequest, customer_id: str | None
) -> PricedCart:
    """Price it for where it goes; raises what `OrderPrices.price` raises, and VoucherRefused for one used up."""
    country = wanted.destination if isinstance(wanted, QuoteRequest) else wanted.shipping_address.country
    command = PriceOrder(
        lines=[OrderLineInput(sku=sku, quantity=quantity) for sku, quantity in cart.items.items()],
        country=country,
        shipping_method=wanted.shipping_method,
        currency=wanted.currency,
        voucher_code=wanted.discount_code,
    )
    priced = OrderPrices(everything.catalog, everything.vouchers).price(command, datetime.now(UTC))
    if priced.voucher_code:
        everything.vouchers.check_left(priced.voucher_code, customer_id)
    return PricedCart(cart, command, priced)


def check_quote(everything: Services, shown: ShownQuote, now: PricedCart) -> None:
    """Raise unless the cart can be ordered at what was shown, or less.

    CartChanged when another cart was shown, QuoteExpired, and QuoteChanged naming the parts that have changed; with
    the latter two comes a new quote, to be agreed to.
    """
    cart = now.cart
    if (shown.cart_id, shown.cart_version) != (cart.id, cart.version):
        raise cart_changed(everything, cart, "The quote is for another cart, or for an earlier version of it.")
    changed = shown.changed_parts(now.priced)
    if shown.is_over():
        message = "This price was shown too long ago; here is today's."
        raise QuoteExpired(message, quote=now.quote(everything), changed=changed)
    if shown.currency != now.priced.currency or now.priced.total > shown.total:
        message = "The order costs more than was shown; here is today's price."
        raise QuoteChanged(message, quote=now.quote(everything), changed=changed)
