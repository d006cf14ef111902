"""The price of an order: lines, discount, shipping and tax.

Prices of a currency include tax or not, as in `TAX_INCLUDED`; so do lines, discount and shipping. Tax is rounded once
per line and once for shipping (see `domain.tax`), after the discount, which is distributed over the lines so that each
can be invoiced and refunded alone.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.catalog import TaxClass
from domain.errors import InvalidRequest, UnknownProduct
from domain.money import Money
from domain.shipping import shipping_price
from domain.tax import tax_of, tax_rate
from domain.vouchers import Voucher

# Whether prices in a currency include tax; the default is that they do not.
TAX_INCLUDED: dict[str, bool] = {"EUR": False, "USD": False, "GBP": True}

MIN_CHARGE = 50  # minor units; the least a card network charges. A total of zero needs no charge.
MAX_ORDER_AMOUNT = 99_999_999  # minor units; the most a card network charges at once (Stripe: eight digits)


@dataclass(frozen=True)
class PricedItem:
    """A cart line with its catalog data; weight in grams, unit price with or without tax as for the currency."""

    sku: str
    name: str
    quantity: int
    unit_price: Money
    weight_grams: int
    tax_class: TaxClass = TaxClass.STANDARD


@dataclass(frozen=True)
class QuoteLine:
    """A line of a quote: subtotal = quantity × unit price; discount and tax are for the whole line."""

    item: PricedItem
    subtotal: Money
    discount: Money
    tax: Money


@dataclass(frozen=True)
class Quote:
    """The price of an order.

    total = subtotal - discount + shipping + tax; without the tax when prices include it. `shipping` is the tariff; a
    voucher's reduction of it is part of `discount`.
    """

    lines: tuple[QuoteLine, ...]
    subtotal: Money
    discount: Money
    shipping: Money
    tax: Money
    total: Money
    tax_included: bool


def quote(
    items: Sequence[PricedItem],
    country: str,
    shipping_method: str,
    voucher: Voucher | None = None,
    at: datetime | None = None,
) -> Quote:
    """Price a cart for a destination (ISO 3166-1 alpha-2), with a voucher at a moment.

    Raises UnknownShippingMethod, VoucherRefused, or InvalidRequest for no lines, mixed currencies, a quantity below 1,
    or a total above what a card can be charged.
    """
    currency = _currency(items)
    amounts = [item.unit_price * item.quantity for item in items]
    subtotal = sum(amounts, Money.zero(currency))
    shipping = shipping_price(
        shipping_method, country, sum(item.weight_grams * item.quantity for item in items), currency
    )
    off_lines, off_shipping = _discounts(voucher, amounts, subtotal, shipping, at)
    return _with_tax(items, country, off_lines, shipping, off_shipping)


def requote(agreed: Quote, country: str, shipping_method: str) -> Quote:
    """The same goods at the agreed prices and discounts, for another destination: shipping and tax are priced again.

    A voucher that made shipping free still does. Raises UnknownShippingMethod, and InvalidRequest as `quote` does.
    """
    items = [line.item for line in agreed.lines]
    off_lines = [line.discount for line in agreed.lines]
    grams = sum(item.weight_grams * item.quantity for item in items)
    shipping = shipping_price(shipping_method, country, grams, agreed.total.currency)
    nothing = Money.zero(agreed.total.currency)
    is_free = agreed.discount > sum(off_lines, nothing)
    return _with_tax(items, country, off_lines, shipping, shipping if is_free else nothing)


def _with_tax(
    items: Sequence[PricedItem], country: str, off_lines: Sequence[Money], shipping: Money, off_shipping: Money
) -> Quote:
    currency = shipping.currency
    included = TAX_INCLUDED.get(currency, False)
    amounts = [item.unit_price * item.quantity for item in items]
    subtotal = sum(amounts, Money.zero(currency))
    lines = tuple(
        QuoteLine(item, amount, off, tax_of(amount - off, tax_rate(country, item.tax_class), included=included))
        for item, amount, off in zip(items, amounts, off_lines, strict=True)
    )
    shipping_tax = tax_of(shipping - off_shipping, tax_rate(country, TaxClass.STANDARD), included=included)
    tax = sum((line.tax for line in lines), shipping_tax)
    discount = sum(off_lines, off_shipping)
    total = subtotal - discount + shipping + (Money.zero(currency) if included else tax)
    if total.amount > MAX_ORDER_AMOUNT:
        raise InvalidRequest("The total is above the maximum of a payment.", maximum=MAX_ORDER_AMOUNT)
    return Quote(lines, subtotal, discount, shipping, tax, total, included)


def check_for_sale(skus: Iterable[str], for_sale: Collection[str]) -> None:
    """Raise UnknownProduct naming what is not for sale."""
    gone = sorted(sku for sku in skus if sku not in for_sale)
    if gone:
        raise UnknownProduct(f"Not for sale: {', '.join(gone)}.", skus=gone)


def check_one_payment(total: Money) -> None:
    """Raise InvalidRequest for an order that costs something, but less than what can be charged."""
    if 0 < total.amount < MIN_CHARGE:
        raise InvalidRequest("The total is below the minimum of a payment.", minimum=MIN_CHARGE)


def unit_price(tiers: Sequence[tuple[int, int]], quantity: int) -> int | None:
    """The unit price at this quantity: that of the highest tier (minimum quantity, amount) it reaches."""
    reached = [(least, amount) for least, amount in tiers if least <= quantity]
    return max(reached)[1] if reached else None


def _currency(items: Sequence[PricedItem]) -> str:
    if not items:
        raise InvalidRequest("There is nothing to price.")
    for item in items:
        if item.quantity < 1:
            raise InvalidRequest("A quantity is at least 1.", sku=item.sku)
    currencies = {item.unit_price.currency for item in items}
    if len(currencies) > 1:
        raise InvalidRequest("One order has one currency.")
    return currencies.pop()


def _discounts(
    voucher: Voucher | None, amounts: list[Money], subtotal: Money, shipping: Money, at: datetime | None
) -> tuple[list[Money], Money]:
    nothing = Money.zero(subtotal.currency)
    if voucher is None:
        return [nothing] * len(amounts), nothing
    if at is None:
        raise ValueError("whether a voucher holds depends on the moment")
    voucher.check(subtotal, at)
    return voucher.off_goods(amounts), voucher.off_shipping(shipping)
