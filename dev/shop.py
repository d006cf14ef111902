"""A small shop for benches and tests: warehouses, a category, and products in it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from adapters.connections import Connections
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.catalog.taxonomy import Taxonomy
from adapters.mysql.orders.stock import Stock
from domain.actors import staff_actor
from domain.catalog import ProductStatus
from schemas.catalog import Brand, Category, Price, Product, Variant
from schemas.stock import ChangeWarehouse

PRICE = 1999
PICKING = "HAM"
"""The warehouse whose staff confirm what they have picked."""


def open_shop(stores: Connections) -> None:
    """Three warehouses, the first preferred, the last with its picks confirmed, and the brand and category of its
    products.
    """
    stock = Stock(stores.engine)
    stock.ensure_warehouses([("BER", "Berlin", "DE", 1), ("AMS", "Amsterdam", "NL", 2), (PICKING, "Hamburg", "DE", 3)])
    stock.change_warehouse(PICKING, ChangeWarehouse(pick_required=True))
    Taxonomy(stores.engine).ensure([Brand(code="bench", name="Bench")], [Category(code="bench", name="Bench")])


def a_product(code: str) -> Product:
    """A product whose one variant has the same code, for sale since yesterday."""
    moment = datetime.now(UTC)
    price = Price(amount=PRICE, currency="EUR", valid_from=moment - timedelta(days=1))
    return Product(
        code=code,
        name=f"Lamp {code}",
        description="Made by a bench.",
        brand="bench",
        category="bench",
        status=ProductStatus.ACTIVE,
        variants=[Variant(sku=code, weight_grams=100, prices=[price])],
        created_at=moment,
        updated_at=moment,
    )


def put_on_sale(stores: Connections, skus: Sequence[str], delivered: Sequence[tuple[str, str, int]]) -> None:
    """A product for each SKU, and a delivery of (SKU, warehouse, units)."""
    Catalog(stores.engine).put_many([a_product(sku) for sku in skus])
    Stock(stores.engine).receive(delivered, staff_actor("bench"), "delivery")
