"""A cart on its way to an order: is it the one the customer saw, what does it cost, does it cost more than shown."""

from dataclasses import dataclass
from datetime import UTC, datetime

from adapters.carts.store import CartStore
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.orders.prices import OrderPrices
from adapters.mysql.orders.stock import Stock
from adapters.mysql.orders.vouchers import Vouchers
from api.cart_views import cart_view
from api.quotes import Destination, Quotes
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


@dataclass(frozen=True)
class CartPrices:
    """Prices carts from the stores as they are now."""

    carts: CartStore
    catalog: Catalog
    stock: Stock
    vouchers: Vouchers
    quotes: Quotes

    def current(self, owner: str, version: int | None = None) -> Cart:
        """The owner's cart; raises CartChanged with the cart unless it has this version, EmptyCart."""
        cart = self.carts.current(owner)
        if version is not None and cart.version != version:
            raise self.cart_changed(cart, f"The cart has version {cart.version}, not {version}.")
        if not cart.items:
            raise EmptyCart("The cart is empty.")
        return cart

    def cart_changed(self, cart: Cart, message: str) -> CartChanged:
        """The refusal that shows the cart as it is now."""
        return CartChanged(message, cart=cart_view(cart, self.catalog, self.stock), changed=["cart"])

    def price(self, cart: Cart, request: CheckoutRequest | QuoteRequest, customer_id: str | None) -> PricedCart:
        """Price it for its destination; raises what `OrderPrices.price` raises, VoucherRefused for a used-up code."""
        country = request.destination if isinstance(request, QuoteRequest) else request.shipping_address.country
        command = PriceOrder(
            lines=[OrderLineInput(sku=sku, quantity=quantity) for sku, quantity in cart.items.items()],
            country=country,
            shipping_method=request.shipping_method,
            currency=request.currency,
            voucher_code=request.discount_code,
        )
        priced = OrderPrices(self.catalog, self.vouchers).price(command, datetime.now(UTC))
        if priced.voucher_code:
            self.vouchers.check_left(priced.voucher_code, customer_id)
        return PricedCart(cart, command, priced)

    def quote(self, now: PricedCart) -> QuoteView:
        """What is shown of a priced cart."""
        return self.quotes.show(now.cart, now.priced, Destination(now.command.country, now.command.shipping_method))

    def check_quote(self, token: str, now: PricedCart) -> None:
        """Raise unless the cart can be ordered at what was shown, or less.

        CartChanged when another cart was shown, QuoteExpired, and QuoteChanged naming the parts that have changed;
        with the latter two comes a new quote, to be agreed to.
        """
        shown, cart = self.quotes.read(token), now.cart
        if (shown.cart_id, shown.cart_version) != (cart.id, cart.version):
            raise self.cart_changed(cart, "The quote is for another cart, or for an earlier version of it.")
        changed = shown.changed_parts(now.priced)
        if shown.is_over():
            message = "The quote has expired. Please agree to the new one."
            raise QuoteExpired(message, quote=self.quote(now), changed=changed)
        if shown.currency != now.priced.currency or now.priced.total > shown.total:
            message = "The order costs more than quoted. Please agree to the new quote."
            raise QuoteChanged(message, quote=self.quote(now), changed=changed)
