"""Quotes: the price of a cart before it is ordered."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.addresses import ShippingAddress
from schemas.base import Country, Money, Payload, Request, Text
from schemas.catalog import BASE_CURRENCY
from schemas.checkout import ShopCurrency


class QuoteRequest(Request):
    """`POST /v1/quotes`: the price of the cart for a destination, for which the country is enough."""

    cart_version: Annotated[int, Field(ge=1, strict=True)] | None = None
    country: Country | None = None
    shipping_address: ShippingAddress | None = None
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
        """The destination country."""
        return self.shipping_address.country if self.shipping_address else self.country or ""


class QuotedLine(Payload):
    """A line; discount and tax are for the whole line."""

    sku: str
    name: str
    quantity: int
    unit_price: Money
    subtotal: Money
    discount: Money
    tax: Money


class QuotedShipping(Payload):
    """A shipping method with its price before any discount."""

    code: str
    name: str
    price: Money


class QuoteView(Payload):
    """The price of the cart, valid until `expires_at`.

    total = subtotal - discount + shipping + tax; without the tax when prices include it (`tax_included`). `quote` is
    opaque and sent with the checkout. `hash` stays the same as long as the price does not change.
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
