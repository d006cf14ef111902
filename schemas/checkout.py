"""Checkout: the customer's request, the workflow's input and its first answer."""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Protocol, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from domain.carts import user_owner
from domain.fulfilment import Demand, summed
from domain.orders import OrderStatus
from domain.parcels import Goods
from domain.pricing import TAX_INCLUDED, Quote, QuoteLine
from schemas.addresses import ShippingAddress
from schemas.base import Address, Currency, Money, Open, Payload, Request, Text
from schemas.carts import CompleteCart
from schemas.catalog import BASE_CURRENCY
from schemas.payments import PaymentMethodToken, ReturnUrl
from schemas.risk import ReviewRules


def _sold_in(currency: str) -> str:
    if currency not in TAX_INCLUDED:
        raise PydanticCustomError("unknown_currency", f"We sell in {', '.join(sorted(TAX_INCLUDED))}.")
    return currency


ShopCurrency = Annotated[Currency, AfterValidator(_sold_in)]
QuoteToken = Annotated[str, Field(min_length=1, max_length=4000, description="`quote` of `POST /v1/quotes`.")]


class OnShortage(StrEnum):
    """What happens when only part of the cart is available: the order is refused, or the customer decides."""

    REFUSE = "refuse"
    ASK = "ask"


class CheckoutRequest(Request):
    """`POST /v1/checkouts`: check out this version of the cart.

    When only part of it is available, `refuse` places no order and names what is short; `ask` places an order that
    reserves what is available and waits for `POST /v1/orders/{id}/decision`.
    """

    cart_version: Annotated[int, Field(ge=1, strict=True)]
    shipping_address: ShippingAddress
    shipping_method: Text = "standard"
    payment_method: Annotated[
        PaymentMethodToken | None, Field(description="Optional when store credit covers the order.")
    ] = None
    payment_return_url: ReturnUrl | None = None
    use_store_credit: Annotated[
        bool, Field(strict=True, description="Use store credit first; the payment method pays the rest.")
    ] = False
    discount_code: Text | None = None
    currency: ShopCurrency = BASE_CURRENCY
    quote: QuoteToken | None = None
    on_shortage: OnShortage = OnShortage.REFUSE

    @model_validator(mode="after")
    def _can_be_paid(self) -> Self:
        if self.payment_method is None and not self.use_store_credit:
            raise PydanticCustomError("missing", "payment_method is required, unless store credit covers the order")
        return self


class OrderLineInput(Payload):
    """A SKU and its quantity."""

    sku: str
    quantity: int


class Adoption(Payload):
    """Staff have an order without a running workflow ended rightly: who, and why.

    The reason is for the timeline: the order's history is its customer's as well.
    """

    actor: str
    reason: str


class CheckoutInput(Payload):
    """The input of CheckoutWorkflow; the order id is a UUIDv7 chosen by the API.

    `approved_total` is what the customer has agreed to, in minor units: the order is never charged more. After a
    declined payment the order waits `payment_retry_seconds` for another method; one that is partly out of stock waits
    `decision_seconds` for the decision of its customer. A card authorization lasts `authorization_seconds` unless the
    provider says otherwise, and is renewed before it expires; 0 renews none. `adoption` is for AdoptionWorkflow alone.
    """

    order_id: str
    customer_id: str
    email: str
    cart_id: str
    cart_version: int
    lines: list[OrderLineInput]
    shipping_address: Address
    shipping_method: str
    payment_method: str | None
    payment_return_url: str | None = None
    use_store_credit: bool = False
    discount_code: str | None = None
    currency: str = BASE_CURRENCY
    approved_total: int | None = None
    payment_retry_seconds: int = 0
    authentication_seconds: int = 900
    authorization_seconds: int = 0
    on_shortage: OnShortage = OnShortage.REFUSE
    decision_seconds: int = 86_400
    review: ReviewRules = ReviewRules()
    adoption: Adoption | None = None

    def price_command(
        self, lines: list[OrderLineInput], voucher_code: str | None, *, order_id: str | None = None
    ) -> "PriceOrder":
        """The command that prices these lines for the order's destination."""
        return PriceOrder(
            order_id=order_id,
            lines=lines,
            country=self.shipping_address.country,
            shipping_method=self.shipping_method,
            currency=self.currency,
            voucher_code=voucher_code,
        )

    def cart_command(self) -> CompleteCart:
        """The command that removes the ordered items from the cart."""
        owner = user_owner(self.customer_id)
        return CompleteCart(owner=owner, cart_id=self.cart_id, version=self.cart_version, order_id=self.order_id)


class CheckoutOutcome(StrEnum):
    """The first answer about an order."""

    AUTHORIZED = "authorized"
    ACTION_REQUIRED = "action_required"
    DECISION_REQUIRED = "decision_required"
    DECLINED = "declined"
    ON_HOLD = "on_hold"
    OUT_OF_STOCK = "out_of_stock"
    REFUSED = "refused"
    CANCELLED = "cancelled"


_OUTCOMES = {
    "payment_declined": CheckoutOutcome.DECLINED,
    "out_of_stock": CheckoutOutcome.OUT_OF_STOCK,
    "cancelled": CheckoutOutcome.CANCELLED,
}


def outcome_of_end(code: str) -> CheckoutOutcome:
    """The first answer about an order that ended for this reason before any other answer."""
    return _OUTCOMES.get(code, CheckoutOutcome.REFUSED)


class CheckoutAnswer(Payload):
    """The first answer to a checkout; `code` and `message` say why it is not `authorized`."""

    order_id: str
    outcome: Open[CheckoutOutcome]
    code: str | None = None
    message: str | None = None
    details: dict[str, object] = {}

    @classmethod
    def refusing(cls, order_id: str, code: str, message: str, details: Mapping[str, object]) -> "CheckoutAnswer":
        """The answer of an order that ended for this reason."""
        return cls(order_id=order_id, outcome=outcome_of_end(code), code=code, message=message, details=dict(details))


class CancelledLine(Payload):
    """So many units of a SKU that are, or are to be, cancelled."""

    sku: str
    quantity: int


class UnitsOfSku(Protocol):
    """A line of whatever names a SKU and so many units of it."""

    @property
    def sku(self) -> str: ...
    @property
    def quantity(self) -> int: ...


def units_of(lines: Iterable[UnitsOfSku]) -> Counter[str]:
    """Units by SKU; one that is named with 0 is among them."""
    return Counter(summed([Demand(line.sku, line.quantity) for line in lines]))


class CheckoutResult(Payload):
    """How the order ended; or, of one that was cancelled in part, which parcels and lines go on and which do not.

    `not_charged` is what the cancelled lines would have cost, in minor units of the order's currency.
    """

    order_id: str
    status: Open[OrderStatus]
    reason: str | None = None
    dispatched: list[int] = []
    cancelled: list[int] = []
    cancelled_lines: list[CancelledLine] = []
    not_charged: int = 0


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

    @classmethod
    def of(cls, line: QuoteLine) -> Self:
        """The line of a quote as a message."""
        return cls(
            sku=line.item.sku,
            name=line.item.name,
            quantity=line.item.quantity,
            unit_price=line.item.unit_price.amount,
            weight_grams=line.item.weight_grams,
            subtotal=line.subtotal.amount,
            discount=line.discount.amount,
            tax=line.tax.amount,
        )


class PricedOrder(Payload):
    """The price of an order, in minor units of one currency.

    total = subtotal - discount + shipping + tax; without the tax when prices include it.
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

    @classmethod
    def of(cls, quote: Quote, voucher_code: str | None) -> Self:
        """The quote as a message."""
        return cls(
            currency=quote.total.currency,
            lines=[PricedLine.of(line) for line in quote.lines],
            subtotal=quote.subtotal.amount,
            discount=quote.discount.amount,
            shipping=quote.shipping.amount,
            tax=quote.tax.amount,
            tax_included=quote.tax_included,
            total=quote.total.amount,
            voucher_code=voucher_code,
        )

    @property
    def goods(self) -> dict[str, Goods]:
        """What a unit of each SKU costs and weighs."""
        return {line.sku: Goods(line.unit_price, line.weight_grams) for line in self.lines}

    @property
    def total_money(self) -> Money:
        """The total with its currency."""
        return Money(amount=self.total, currency=self.currency)


class PriceOrder(Payload):
    """Price these lines for this destination; an order that is placed already costs what it was placed at."""

    order_id: str | None = None
    lines: list[OrderLineInput]
    country: str
    shipping_method: str
    currency: str = BASE_CURRENCY
    voucher_code: str | None = None
