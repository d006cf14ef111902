"""What an order costs: lines, shipping and tax, pure. Prices in the catalog are net; tax is added per line.

Rounding: tax is rounded half up once per line and once for shipping, never on the total, so that an invoice's
lines add up to its total to the cent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import InvalidRequest, UnknownShippingMethod
from domain.money import Money

# Standard rates in basis points. Source: European Commission, "VAT rates applied in the Member States".
TAX_BASIS_POINTS = {
    "AT": 2000,
    "BE": 2100,
    "DE": 1900,
    "DK": 2500,
    "ES": 2100,
    "FR": 2000,
    "IE": 2300,
    "IT": 2200,
    "NL": 2100,
    "PL": 2300,
    "PT": 2300,
    "SE": 2500,
}

MAX_ORDER_AMOUNT = 99_999_999  # minor units; the most a card network takes in one charge (Stripe: eight digits)


@dataclass(frozen=True)
class ShippingMethod:
    """A way to send a parcel: a base price and a price per started kilogram, minor units, net."""

    code: str
    name: str
    base: int
    per_kilogram: int


SHIPPING_METHODS = {
    method.code: method
    for method in (
        ShippingMethod("standard", "Standard, 2-4 days", base=390, per_kilogram=50),
        ShippingMethod("express", "Express, next day", base=990, per_kilogram=120),
    )
}


@dataclass(frozen=True)
class PricedItem:
    """One cart line with what the catalog says of it; weight in grams, price net per unit."""

    sku: str
    name: str
    quantity: int
    unit_price: Money
    weight_grams: int


@dataclass(frozen=True)
class QuoteLine:
    """One line of a quote: subtotal = quantity × unit price, tax on top."""

    item: PricedItem
    subtotal: Money
    tax: Money


@dataclass(frozen=True)
class Quote:
    """What the order costs; `total` always equals subtotal + shipping + tax."""

    lines: tuple[QuoteLine, ...]
    subtotal: Money
    shipping: Money
    tax: Money
    total: Money


def quote(items: Sequence[PricedItem], country: str, shipping_method: str) -> Quote:
    """Price a cart for a destination (ISO 3166 alpha-2).

    Raises UnknownShippingMethod, or InvalidRequest for no lines, mixed currencies, or a total past what a card takes.
    """
    if not items:
        raise InvalidRequest("There is nothing to price.")
    currency = items[0].unit_price.currency
    if any(item.unit_price.currency != currency for item in items):
        raise InvalidRequest("One order has one currency.")
    rate = TAX_BASIS_POINTS.get(country, 0)
    lines = tuple(_line(item, rate) for item in items)
    shipping = _shipping(items, currency, shipping_method)
    subtotal = sum((line.subtotal for line in lines), Money.zero(currency))
    tax = sum((line.tax for line in lines), shipping.share(rate))
    total = subtotal + shipping + tax
    if total.amount > MAX_ORDER_AMOUNT:
        raise InvalidRequest("The order is larger than one payment can be.", maximum=MAX_ORDER_AMOUNT)
    return Quote(lines, subtotal, shipping, tax, total)


def _line(item: PricedItem, rate: int) -> QuoteLine:
    if item.quantity < 1:
        raise InvalidRequest("A quantity is at least 1.", sku=item.sku)
    subtotal = item.unit_price * item.quantity
    return QuoteLine(item, subtotal, subtotal.share(rate))


def _shipping(items: Sequence[PricedItem], currency: str, code: str) -> Money:
    method = SHIPPING_METHODS.get(code)
    if method is None:
        known = ", ".join(sorted(SHIPPING_METHODS))
        raise UnknownShippingMethod(f"There is no shipping method {code!r}; choose one of {known}.")
    grams = sum(item.weight_grams * item.quantity for item in items)
    started_kilograms = -(-grams // 1000)
    return Money(method.base + method.per_kilogram * started_kilograms, currency)
