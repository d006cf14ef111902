"""The sample shop is the same on every machine, large enough for the benches, and safe to fill twice."""

from itertools import islice

import pytest
import sqlalchemy as sa
from rich.progress import Progress

from adapters.connections import Connections
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.orders.stock import Poster, Stock
from adapters.mysql.tables.catalog import product_events
from dev.seed import fill, is_filled
from dev.seed_catalog import SeededProduct, brands, catalog, categories
from domain.catalog import TaxClass, is_gtin, price_at
from domain.stock import MovementKind
from schemas.product_edits import checked, product_of
from schemas.product_files import as_edit
from schemas.stock import NewMovement


@pytest.fixture(scope="module")
def products() -> list[SeededProduct]:
    return list(catalog(2000))


def test_the_first_products_are_the_same_however_many_follow(products: list[SeededProduct]) -> None:
    assert list(islice(catalog(50_000), 2000)) == products
    assert list(catalog(2000)) == products
    entry = products[0]
    assert (entry.product.code, entry.product.name) == ("AUD-OTT-00001", "Ottava Go Foldable Wireless Headphones")


def test_there_are_fifty_thousand_different_ones() -> None:
    codes: set[str] = set()
    names: set[str] = set()
    skus: set[str] = set()
    for entry in catalog(50_000):
        codes.add(entry.product.code)
        names.add(entry.product.name)
        skus.update(variant.sku for variant in entry.product.variants)
    assert len(codes) == len(names) == 50_000
    assert len(skus) > 100_000
    assert len(skus & codes) == sum(1 for code in codes if code in skus)


def test_every_product_is_one_that_staff_could_enter(products: list[SeededProduct]) -> None:
    for entry in products:
        assert product_of(checked(as_edit(entry.product)), entry.product.created_at) == entry.product.model_copy(
            update={"updated_at": entry.product.created_at}
        )


def test_products_are_as_various_as_a_shop(products: list[SeededProduct]) -> None:
    variants = [variant for entry in products for variant in entry.product.variants]
    assert {len(entry.product.variants) for entry in products} >= {1, 2, 3, 4, 6}
    assert max(len(entry.product.variants) for entry in products) <= 6
    assert {name for entry in products for name in entry.product.options} >= {"colour", "size", "capacity", "weight"}
    assert {entry.product.tax_class for entry in products} == {TaxClass.STANDARD, TaxClass.REDUCED}
    assert all(variant.barcode and is_gtin(variant.barcode) for variant in variants)
    on_sale = [one for one in variants if len([price for price in one.prices if price.currency == "EUR"]) > 1]
    assert 0.05 < len(on_sale) / len(variants) < 0.2
    now = on_sale[0].prices[0].valid_from
    assert all(price_at([price for price in one.prices if price.currency == "EUR"], now) for one in variants)
    assert all(entry.product.attributes for entry in products)
    assert {len(entry.units[sku]) for entry in products for sku in entry.units} == {0, 1, 2}


def test_categories_are_a_tree_of_three_levels(products: list[SeededProduct]) -> None:
    tree = {category.code: category.parent for category in categories()}
    made = {brand.code for brand in brands()}
    for entry in products:
        assert entry.product.brand in made
        department = tree[entry.product.category]
        assert department is not None
        top = tree[department]
        assert top is not None
        assert tree[top] is None


def shown(connections: Connections) -> tuple[int, int]:
    with connections.engine.connect() as connection:
        stock = connection.scalar(sa.text("SELECT SUM(on_hand) FROM stock WHERE sku LIKE '___-___-_____%'"))
        moved = connection.scalar(sa.text("SELECT COUNT(*) FROM stock_movements WHERE actor = 'system:seed'"))
    return int(stock), int(moved)


@pytest.fixture
def few(products: list[SeededProduct]) -> list[SeededProduct]:
    return products[:60]


def test_the_first_sale_of_what_is_short_in_stock_calls_the_supplier(
    connections: Connections, products: list[SeededProduct]
) -> None:
    short = [entry for entry in products if entry.rules]
    assert 5 < len(short) < 0.05 * len(products)
    with Progress(disable=True) as progress:
        fill(connections, short[:1], progress)
    sku, stock = next(iter(short[0].units)), Stock(connections.engine)
    kept = stock.overview(sku)
    assert kept is not None
    assert kept.rules.backorderable
    assert kept.totals.available == kept.rules.low_stock_at + 1
    mine = sa.and_(product_events.c.product == short[0].product.code, product_events.c.type == "stock.low")
    low = sa.select(sa.func.count()).where(mine)
    with connections.engine.connect() as connection:
        assert connection.scalar(low) == 0, "filling the stock calls nobody"
    stock.post(
        sku,
        NewMovement(kind=MovementKind.ADJUSTED, warehouse="BER", quantity=-1, reason="sold"),
        Poster("staff:x", sku),
    )
    with connections.engine.connect() as connection:
        assert connection.scalar(low) == 1


def test_filling_again_adds_only_what_is_missing(connections: Connections, few: list[SeededProduct]) -> None:
    with Progress(disable=True) as progress:
        assert fill(connections, few[:40], progress) == 40
        shop = Catalog(connections.engine)
        first = shop.product(few[0].product.code)
        assert first is not None
        shop.put_many([first.model_copy(update={"name": "Renamed by staff"})])
        before = shown(connections)
        assert fill(connections, few[:40], progress) == 0
        assert shown(connections) == before
        assert fill(connections, few, progress) == 20
    kept = shop.product(few[0].product.code)
    assert kept is not None
    assert kept.name == "Renamed by staff"
    entry = next(entry for entry in few if any(entry.units.values()))
    levels = {sku: {one.warehouse: one.on_hand for one in Stock(connections.engine).levels(sku)} for sku in entry.units}
    assert levels == {sku: dict(units) for sku, units in entry.units.items()}
    assert is_filled(connections, 60)
