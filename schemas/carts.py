"""The cart: the MongoDB document as a message, and its views."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from domain.carts import ChangeKind, Standing
from domain.money import Money as DomainMoney
from schemas.base import Money, Open, Payload, Quantity, Request, Sku


class SetQuantity(Request):
    """`PUT /v1/cart/items/{sku}`: the quantity of the line, whatever it was before."""

    quantity: Quantity


class AddToCart(Request):
    """`POST /v1/cart/items`: units to add to the line."""

    sku: Sku
    quantity: Quantity = 1


class GuestToken(Payload):
    """`POST /v1/cart/guest-token`: the `X-Cart-Token` of a guest, which gives access to the cart."""

    token: str
    days: Annotated[int, Field(description="Days without a change after which the cart is emptied.")]


class SeenLine(Payload):
    """A line as the customer last saw it: its price, None when it was not for sale, and whether it was available."""

    price: Money | None
    available: bool
    added_at: datetime

    @property
    def standing(self) -> Standing:
        """The same as a domain value."""
        price = None if self.price is None else DomainMoney(self.price.amount, self.price.currency)
        return Standing(price, self.available)


class Cart(Payload):
    """An owner's cart; `items` maps each SKU to its units, `seen` to the line as the customer last saw it.

    `version` grows by one with every change. `id` belongs to the document: a new cart after an expired one has another.
    A cart into which nothing was ever put has version 0 and its owner's id.
    """

    id: str
    owner: str
    version: int = 0
    items: dict[str, int] = {}
    seen: dict[str, SeenLine] = {}
    checked_out_by: str | None = None
    updated_at: datetime
    expires_at: datetime | None = None


class CartOffer(Payload):
    """A SKU as a cart shows it; `price` is None when it is not for sale.

    `room` is how many units a cart may hold, None for a SKU that can be backordered.
    """

    sku: str
    product: str
    name: str
    price: Money | None
    room: int | None

    def has(self, quantity: int) -> bool:
        """Whether this many units are available."""
        return self.price is not None and (self.room is None or self.room >= quantity)

    def standing(self, quantity: int) -> Standing:
        """The price and availability of a line of this many units."""
        price = None if self.price is None else DomainMoney(self.price.amount, self.price.currency)
        return Standing(price, self.has(quantity))


class CartLineView(Payload):
    """A line with its current price. A product that is no longer for sale has no prices and is not in the subtotal."""

    sku: str
    name: str
    quantity: int
    unit_price: Money | None
    line_total: Money | None
    available: Annotated[bool, Field(description="Whether this quantity is available now.")]


class CartChangeView(Payload):
    """A change since the customer last saw the line: `from` and `to` are prices, or whether it is available.

    A line that is `gone` is no longer for sale: `from` is its last price and `to` is null.
    """

    sku: str
    kind: Open[ChangeKind]
    before: Annotated[Money | bool | None, Field(alias="from")]
    after: Annotated[Money | bool | None, Field(alias="to")]


class CartView(Payload):
    """`GET /v1/cart`; `subtotal` is net, before shipping and tax.

    `changes` remain until the customer acknowledges them: for one line by changing it, for all with one request.
    """

    id: str
    version: int
    items: list[CartLineView]
    subtotal: Money | None
    changes: list[CartChangeView] = []
    updated_at: datetime


class CompleteCart(Payload):
    """Remove from the cart what was ordered from it at this version."""

    owner: str
    cart_id: str
    version: int
    order_id: str


class CartsReminded(Payload):
    """The result of a reminder run: carts examined and mails started."""

    carts: int
    mails: int
