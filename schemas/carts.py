"""The cart: MongoDB's document as a message, and what is shown of it."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from schemas.base import Money, Payload, Request


class SetQuantity(Request):
    """`PUT /v1/cart/items/{sku}`: so many units, not so many more."""

    quantity: Annotated[int, Field(ge=1, le=999, strict=True)]


class Cart(Payload):
    """One owner's cart; `items` maps SKU to units, `version` grows by one with every change."""

    id: str
    owner: str
    version: int = 0
    items: dict[str, int] = {}
    checked_out_by: str | None = None
    updated_at: datetime


class CartLineView(Payload):
    """One line with what the catalog says now."""

    sku: str
    name: str
    quantity: int
    unit_price: Money
    line_total: Money
    available: bool


class CartView(Payload):
    """`GET /v1/cart`; `subtotal` is net, before shipping and tax."""

    id: str
    version: int
    items: list[CartLineView]
    subtotal: Money | None
    updated_at: datetime


class CompleteCart(Payload):
    """The cart at this version has become an order: empty it, unless it has changed since."""

    owner: str
    cart_id: str
    version: int
    order_id: str
