"""The catalog keeps what it is given, in bulk, and reads it back page by page."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import uuid_utils

from adapters.connections import Connections
from adapters.mysql.catalog import BATCH, Catalog
from schemas.base import Money
from schemas.catalog import Product

CREATED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
def catalog(connections: Connections) -> Catalog:
    return Catalog(connections.engine)


@pytest.fixture
def new_products() -> Callable[[int], list[Product]]:
    def new(count: int) -> list[Product]:
        series = uuid_utils.uuid7().hex[-12:].upper()
        return [
            Product(
                sku=f"CAT-{series}-{number:05}",
                name=f"Naïve lamp {number} 💡",
                description="A lamp.",
                brand="Lumière",
                category="Light",
                price=Money(amount=number, currency="EUR"),
                weight_grams=number,
                created_at=CREATED,
                updated_at=CREATED,
            )
            for number in range(count)
        ]

    return new


NewProducts = Callable[[int], list[Product]]


def test_a_product_comes_back_as_it_was_written(catalog: Catalog, new_products: NewProducts) -> None:
    (product,) = new_products(1)
    catalog.upsert_many([product])
    assert catalog.get(product.sku) == product


def test_more_products_than_one_statement_takes_are_written_and_paged(
    catalog: Catalog, new_products: NewProducts
) -> None:
    before = catalog.count()
    products = new_products(BATCH + 7)
    catalog.upsert_many(products)
    assert catalog.count() == before + len(products)
    read: list[Product] = []
    after = products[0].sku[:-1]
    while len(read) < len(products):
        page = catalog.page(after, limit=200)
        read += page
        after = page[-1].sku
    assert read[: len(products)] == products


def test_writing_again_changes_everything_but_the_day_of_creation(catalog: Catalog, new_products: NewProducts) -> None:
    (product,) = new_products(1)
    catalog.upsert_many([product])
    later = datetime(2026, 6, 7, tzinfo=UTC)
    changed = product.model_copy(
        update={"name": "Another", "active": False, "version": 2, "created_at": later, "updated_at": later}
    )
    catalog.upsert_many([changed])
    assert catalog.get(product.sku) == changed.model_copy(update={"created_at": CREATED})


def test_only_those_that_exist_are_found(catalog: Catalog, new_products: NewProducts) -> None:
    first, second = new_products(2)
    catalog.upsert_many([first])
    assert catalog.get_many([first.sku, second.sku, "NO-SUCH"]) == {first.sku: first}
    assert catalog.get_many([]) == {}
    assert catalog.get(first.sku.lower()) is None
