"""A cart as it is shown: its lines with what the catalog and the warehouses say now."""

from adapters.mysql.catalog import Catalog
from adapters.mysql.inventory import Stock
from schemas.base import Money
from schemas.carts import Cart, CartLineView, CartView
from schemas.catalog import Product


def cart_view(cart: Cart, catalog: Catalog, stock: Stock) -> CartView:
    """The cart with names, prices and whether each line can be had in that quantity."""
    products = catalog.get_many(cart.items.keys())
    available = stock.available(cart.items.keys()) if cart.items else {}
    lines = [_line(products[sku], n, available.get(sku, 0)) for sku, n in cart.items.items() if sku in products]
    currencies = {line.line_total.currency for line in lines}
    amount = sum(line.line_total.amount for line in lines)
    return CartView(
        id=cart.id,
        version=cart.version,
        items=lines,
        subtotal=Money(amount=amount, currency=currencies.pop()) if len(currencies) == 1 else None,
        updated_at=cart.updated_at,
    )


def _line(product: Product, quantity: int, available: int) -> CartLineView:
    price = product.price
    return CartLineView(
        sku=product.sku,
        name=product.name,
        quantity=quantity,
        unit_price=price,
        line_total=Money(amount=price.amount * quantity, currency=price.currency),
        available=product.active and available >= quantity,
    )
