"""A cart's price by the catalog and the vouchers of this moment: one rule for the quote and for the order."""

from datetime import datetime
from typing import TYPE_CHECKING

from domain.errors import InvalidRequest, UnknownProduct
from domain.money import Money
from domain.pricing import MIN_CHARGE, PricedItem, Quote, quote
from domain.vouchers import voucher_code
from schemas.catalog import Offer
from schemas.checkout import OrderLineInput, PricedLine, PricedOrder, PriceOrder

if TYPE_CHECKING:
    from adapters.mysql.catalog.products import Catalog
    from adapters.mysql.orders.vouchers import Vouchers


def price(command: PriceOrder, catalog: "Catalog", vouchers: "Vouchers", at: datetime) -> PricedOrder:
    """Price the lines, never by what the client says of them.

    Raises UnknownProduct naming what is not for sale in this currency, UnknownShippingMethod, VoucherRefused, and
    InvalidRequest for a total past what a card takes.
    """
    offers = catalog.offers([line.sku for line in command.lines], command.currency, at)
    gone = sorted(line.sku for line in command.lines if line.sku not in offers or not offers[line.sku].for_sale)
    if gone:
        raise UnknownProduct(f"Not for sale: {', '.join(gone)}.", skus=gone)
    items = [_item(line, offers[line.sku]) for line in command.lines]
    code = voucher_code(command.voucher_code) if command.voucher_code else None
    voucher = vouchers.terms(code) if code else None
    priced = quote(items, command.country, command.shipping_method, voucher, at)
    if 0 < priced.total.amount < MIN_CHARGE:
        raise InvalidRequest("The order is smaller than one payment can be.", minimum=MIN_CHARGE)
    return _message(priced, code)


def _item(line: OrderLineInput, offer: Offer) -> PricedItem:
    price = offer.price_for(line.quantity)
    assert price is not None
    unit_price = Money(price.amount, price.currency)
    return PricedItem(line.sku, offer.name, line.quantity, unit_price, offer.weight_grams, offer.tax_class)


def _message(priced: Quote, code: str | None) -> PricedOrder:
    return PricedOrder(
        currency=priced.total.currency,
        lines=[
            PricedLine(
                sku=line.item.sku,
                name=line.item.name,
                quantity=line.item.quantity,
                unit_price=line.item.unit_price.amount,
                weight_grams=line.item.weight_grams,
                subtotal=line.subtotal.amount,
                discount=line.discount.amount,
                tax=line.tax.amount,
            )
            for line in priced.lines
        ],
        subtotal=priced.subtotal.amount,
        discount=priced.discount.amount,
        shipping=priced.shipping.amount,
        tax=priced.tax.amount,
        tax_included=priced.tax_included,
        total=priced.total.amount,
        voucher_code=code,
    )
