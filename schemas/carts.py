"""The cart: MongoDB's document as a message, and what is shown of it."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from domain.carts import ChangeKind, Standing
from domain.money import Money as DomainMoney
from schemas.base import Money, Payload, Quantity, Request, Sku


class SetQuantity(Request):
    """`PUT /v1/cart/items/{sku}`: so many units, not so many more."""

    quantity: Quantity


class AddToCart(Request):
    """`POST /v1/cart/items`: so many units more."""

    sku: Sku
    quantity: Quantity = 1


class GuestToken(Payload):
    """`POST /v1/cart/guest-token`: what a guest sends as `X-Cart-Token`; who has it has the cart."""

    token: str
    days: Annotated[int, Field(description="after so many days without a change its cart is empty")]


class SeenLine(Payload):
    """What the customer last saw of a line: its price, None when it was not for sale, and whether it could be had."""

    price: Money | None
    available: bool
    added_at: datetime

    @property
    def standing(self) -> Standing:
        """The same in the domain's words."""
        price = None if self.price is None else DomainMoney(self.price.amount, self.price.currency)
        return Standing(price, self.available)


class Cart(Payload):
    """One owner's cart; `items` maps SKU to units, `seen` to what was last seen of it.

    `version` grows by one with every change. `id` is the document's own: a cart that expired and is begun anew has
    another. Before anything was put into it, it is at version 0 and its id is its owner's.
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
    """A SKU as a cart shows it now; `price` is None when it is not for sale.

    `room` is how many units a cart may ask for, None when it may be sold beyond what is there.
    """

    sku: str
    product: str
    name: str
    price: Money | None
    room: int | None

    def has(self, quantity: int) -> bool:
        """Whether so many units can be had."""
        return self.price is not None and (self.room is None or self.room >= quantity)

    def standing(self, quantity: int) -> Standing:
        """How a line of so many units stands."""
        price = None if self.price is None else DomainMoney(self.price.amount, self.price.currency)
        return Standing(price, self.has(quantity))


class CartLineView(Payload):
    """One line with what the catalog says now; without prices, and not part of the subtotal, when it is gone."""

    sku: str
    name: str
    quantity: int
    unit_price: Money | None
    line_total: Money | None
    available: Annotated[bool, Field(description="whether so many units can be had now")]


class CartChangeView(Payload):
    """What is no longer as the customer last saw it: `from` and `to` are prices, or whether it can be had.

    `gone` is no longer for sale: `from` is its last price, `to` is null.
    """

    sku: str
    kind: ChangeKind
    before: Annotated[Money | bool | None, Field(alias="from")]
    after: Annotated[Money | bool | None, Field(alias="to")]


class CartView(Payload):
    """`GET /v1/cart`; `subtotal` is net, before shipping and tax.

    `changes` stay until the customer has taken note of them: of a line by changing it, of all by acknowledging them.
    """

    id: str
    version: int
    items: list[CartLineView]
    subtotal: Money | None
    changes: list[CartChangeView] = []
    updated_at: datetime


class CompleteCart(Payload):
    """The cart at this version has become an order: what was ordered is taken out of it."""

    owner: str
    cart_id: str
    version: int
    order_id: str


class CartsReminded(Payload):
    """What a run of the reminder did: carts looked at, and mails begun."""

    carts: int
    mails: int
