"""Quotes: what a cart would cost, shown before it is ordered."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.base import Address, Country, Money, Payload, Request, Text
from schemas.catalog import BASE_CURRENCY
from schemas.checkout import ShopCurrency


class QuoteRequest(Request):
    """`POST /v1/quotes`: what would my cart cost, sent there? The country alone is enough to know."""

    cart_version: Annotated[int, Field(ge=1, strict=True)] | None = None
    country: Country | None = None
    shipping_address: Address | None = None
    shipping_method: Text = "standard"
    discount_code: Text | None = None
    currency: ShopCurrency = BASE_CURRENCY

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.country is None) == (self.shipping_address is None):
            raise PydanticCustomError("country_or_address", "Give either country or shipping_address.")
        return self

    @property
    def destination(self) -> str:
        """The country it goes to."""
        return self.shipping_address.country if self.shipping_address else self.country or ""


class QuotedLine(Payload):
    """One line; discount and tax are those of the whole line."""

    sku: str
    name: str
    quantity: int
    unit_price: Money
    subtotal: Money
    discount: Money
    tax: Money


class QuotedShipping(Payload):
    """A way to send it, and what that costs before any discount."""

    code: str
    name: str
    price: Money


class QuoteView(Payload):
    """What the cart costs until `expires_at`.

    total = subtotal - discount + shipping + tax, or the same without the tax when it is inside (`tax_included`).
    `quote` is sent with the checkout; it is opaque. `hash` is the same as long as nothing of the price changes.
    """

    cart_version: int
    country: str
    shipping_method: str
    voucher_code: str | None
    lines: list[QuotedLine]
    subtotal: Money
    discount: Money
    shipping: Money
    tax: Money
    total: Money
    tax_included: bool
    shipping_options: list[QuotedShipping]
    quote: str
    hash: str
    expires_at: datetime
