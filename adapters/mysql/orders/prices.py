"""A cart's price by the catalog and the vouchers of this moment: one rule for the quote and for the order."""

from collections.abc import Collection
from datetime import datetime

from adapters.mysql.catalog.products import Catalog
from adapters.mysql.orders.vouchers import Vouchers
from domain.catalog import TaxClass
from domain.errors import UnknownProduct
from domain.pricing import check_for_sale, check_one_payment, quote
from domain.vouchers import voucher_code
from schemas.checkout import PricedOrder, PriceOrder


class OrderPrices:
    """Prices lines by what the shop says of them, never by what the client says."""

    def __init__(self, catalog: Catalog, vouchers: Vouchers) -> None:
        self._catalog = catalog
        self._vouchers = vouchers

    def price(self, command: PriceOrder, at: datetime) -> PricedOrder:
        """What the lines cost at this moment.

        Raises UnknownProduct naming what is not for sale in this currency, UnknownShippingMethod, VoucherRefused, and
        InvalidRequest for a total that is none for one payment.
        """
        offers = self._catalog.offers([line.sku for line in command.lines], command.currency, at)
        check_for_sale([line.sku for line in command.lines], {sku for sku, offer in offers.items() if offer.for_sale})
        items = [offers[line.sku].priced(line.quantity) for line in command.lines]
        code = voucher_code(command.voucher_code) if command.voucher_code else None
        voucher = self._vouchers.terms(code) if code else None
        priced = quote(items, command.country, command.shipping_method, voucher, at)
        check_one_payment(priced.total)
        return PricedOrder.of(priced, code)

    def tax_classes(self, skus: Collection[str]) -> dict[str, TaxClass]:
        """How the goods are taxed, whether they are for sale or not; raises UnknownProduct for what is gone."""
        offers = self._catalog.offers(skus)
        if gone := sorted(set(skus) - offers.keys()):
            raise UnknownProduct(f"Not in the catalog: {', '.join(gone)}.", skus=gone)
        return {sku: offer.tax_class for sku, offer in offers.items()}
