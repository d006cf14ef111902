"""Placing an order: what the customer sends, what the workflow is given, what it first answers."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from domain.orders import OrderStatus
from schemas.base import Address, Money, Payload, Quantity, Request, Sku, Text
from schemas.catalog import BASE_CURRENCY

PaymentMethodToken = Annotated[str, StringConstraints(pattern=r"^pm_[A-Za-z0-9_]{1,64}$")]


class CheckoutRequest(Request):
    """`POST /v1/checkouts`: check out this version of my cart."""

    cart_version: Annotated[int, Field(ge=1, strict=True)]
    shipping_address: Address
    shipping_method: Text = "standard"
    payment_method: PaymentMethodToken
    discount_code: Text | None = None


class OrderLineInput(Payload):
    """So many units of a SKU."""

    sku: Sku
    quantity: Quantity


class CheckoutInput(Payload):
    """Everything CheckoutWorkflow needs to know; the order id is a UUIDv7 chosen by the API."""

    order_id: str
    customer_id: str
    email: str
    cart_id: str
    cart_version: int
    lines: list[OrderLineInput]
    shipping_address: Address
    shipping_method: str
    payment_method: str


class CheckoutOutcome(StrEnum):
    """The first thing a customer can be told about an order."""

    AUTHORIZED = "authorized"
    DECLINED = "declined"
    OUT_OF_STOCK = "out_of_stock"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class CheckoutAnswer(Payload):
    """The first answer of a checkout; `code` and `message` say why it is not `authorized`."""

    order_id: str
    outcome: CheckoutOutcome
    code: str | None = None
    message: str | None = None
    details: dict[str, object] = {}


class CheckoutResult(Payload):
    """How the order ended."""

    order_id: str
    status: OrderStatus
    reason: str | None = None


class PricedLine(Payload):
    """One line at the price it was ordered for; `discount` and `tax` are for the whole line."""

    sku: str
    name: str
    quantity: int
    unit_price: int
    weight_grams: int
    subtotal: int
    discount: int = 0
    tax: int


class PricedOrder(Payload):
    """The quote an order is placed at, minor units of one currency.

    total = subtotal - discount + shipping + tax, or the same without the tax when it is included in the prices.
    """

    currency: str
    lines: list[PricedLine]
    subtotal: int
    discount: int = 0
    shipping: int
    tax: int
    tax_included: bool = False
    total: int
    voucher_code: str | None = None

    @property
    def total_money(self) -> Money:
        """The total as an amount with its currency."""
        return Money(amount=self.total, currency=self.currency)


class PriceOrder(Payload):
    """Price these lines for this destination."""

    lines: list[OrderLineInput]
    country: str
    shipping_method: str
    currency: str = BASE_CURRENCY
    voucher_code: str | None = None
