"""What is done to the order itself: price it, place it, move it."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from domain.errors import UnknownProduct
from domain.money import Money
from domain.pricing import PricedItem, Quote, quote
from schemas.catalog import Product
from schemas.checkout import OrderLineInput, PricedLine, PricedOrder, PriceOrder
from schemas.orders import OrderPlaced, PlaceOrder, RecordStatus, StatusRecorded

if TYPE_CHECKING:
    from adapters.mysql.catalog import Catalog
    from adapters.mysql.orders import OrderStore


class OrderActivities:
    """Short transactions on our own database; all are run as local activities."""

    def __init__(self, orders: "OrderStore", catalog: "Catalog") -> None:
        self._orders = orders
        self._catalog = catalog

    @activity.defn
    def price_order(self, command: PriceOrder) -> PricedOrder:
        """Price the lines by the catalog, never by the client; refuses unknown products and shipping methods."""
        with typed_failures():
            products = self._catalog.get_many([line.sku for line in command.lines])
            items = [_item(line, products.get(line.sku)) for line in command.lines]
            return _message(quote(items, command.country, command.shipping_method))

    @activity.defn
    def place_order(self, command: PlaceOrder) -> OrderPlaced:
        """Record the order and reserve its stock, both or neither; refuses what is out of stock."""
        with typed_failures():
            return self._orders.place(command)

    @activity.defn
    def record_status(self, command: RecordStatus) -> StatusRecorded:
        """Move the order and append the event that says so."""
        with typed_failures():
            return self._orders.record_status(command)


def _item(line: OrderLineInput, product: Product | None) -> PricedItem:
    if product is None or not product.active:
        raise UnknownProduct(f"{line.sku} is not for sale.", sku=line.sku)
    price = Money(product.price.amount, product.price.currency)
    return PricedItem(line.sku, product.name, line.quantity, price, product.weight_grams)


def _message(priced: Quote) -> PricedOrder:
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
                tax=line.tax.amount,
            )
            for line in priced.lines
        ],
        subtotal=priced.subtotal.amount,
        shipping=priced.shipping.amount,
        tax=priced.tax.amount,
        total=priced.total.amount,
    )
