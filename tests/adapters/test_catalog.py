"""The catalog keeps whole products, in bulk, reads them back, and announces each change exactly once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import uuid_utils

from adapters.connections import Connections
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.tables.catalog import product_events, product_revisions
from domain.catalog import ProductStatus, TaxClass
from domain.errors import SkuTaken
from schemas.base import Money
from schemas.catalog import Image, Price, Product, Variant

CREATED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
NewProducts = Callable[[int], list[Product]]


@pytest.fixture
def catalog(connections: Connections) -> Catalog:
    return Catalog(connections.engine)


def price(amount: int, currency: str = "EUR", begins: int = -1, ends: int | None = None) -> Price:
    """A price whose window is given in hours from now."""
    moment = datetime.now(UTC)
    until = None if ends is None else moment + timedelta(hours=ends)
    return Price(amount=amount, currency=currency, valid_from=moment + timedelta(hours=begins), valid_to=until)


@pytest.fixture
def new_products() -> NewProducts:
    def new(count: int) -> list[Product]:
        series = uuid_utils.uuid7().hex[-12:].upper()
        return [
            Product(
                code=f"CAT-{series}-{number:05}",
                name=f"Naïve lamp {number} 💡",
                description="A lamp.\nIt shines.",
                brand="testbrand",
                category="tests",
                attributes={"Watts": 5.5, "Dimmable": True, "Sockets": ["E14", "E27"], "Lumen": 470},
                options=["Size", "Colour"],
                tax_class=TaxClass.REDUCED,
                popularity=number,
                variants=[
                    Variant(
                        sku=f"CAT-{series}-{number:05}-{size}",
                        options={"Size": size, "Colour": "red"},
                        weight_grams=100 + number,
                        length_mm=10,
                        barcode="4006381333931",
                        prices=[price(number + 100), price(number + 90, "USD")],
                    )
                    for size in ("S", "L")
                ],
                images=[Image(url="https://cdn.example.com/lamp.jpg", alt="A lamp", sku=f"CAT-{series}-{number:05}-S")],
                created_at=CREATED,
                updated_at=CREATED,
            )
            for number in range(count)
        ]

    return new


def events_of(connections: Connections, code: str) -> list[tuple[str, int]]:
    query = sa.select(product_events.c.type, product_events.c.revision).where(product_events.c.product == code)
    with connections.engine.connect() as connection:
        return [(row.type, row.revision) for row in connection.execute(query.order_by(product_events.c.id))]


def test_a_product_comes_back_as_it_was_written(catalog: Catalog, new_products: NewProducts) -> None:
    (product,) = new_products(1)
    catalog.put_many([product])
    assert catalog.product(product.code) == product
    assert catalog.product(product.variants[1].sku) == product
    assert list(catalog.product(product.code).variants[0].options) == ["Size", "Colour"]  # type: ignore[union-attr]


def test_names_in_json_come_in_one_order_from_every_server(catalog: Catalog, new_products: NewProducts) -> None:
    (product,) = new_products(1)
    former = {"Size": "S", "Colour": "red", "Year": "2020", "Edition": "1"}  # the last two are no options any more
    first = product.variants[0].model_copy(update={"options": former})
    catalog.put_many([product.model_copy(update={"variants": [first, product.variants[1]]})])
    found = catalog.product(product.code)
    assert found is not None
    assert list(found.variants[0].options) == ["Size", "Colour", "Edition", "Year"]
    assert list(found.attributes) == ["Dimmable", "Lumen", "Sockets", "Watts"]


def test_many_products_are_written_at_once_and_paged_in_order_of_code(
    catalog: Catalog, new_products: NewProducts, connections: Connections
) -> None:
    before = catalog.count()
    written = new_products(333)
    catalog.put_many(written[::-1])
    assert catalog.count() == before + len(written)
    read: list[Product] = []
    after = written[0].code[:-1]
    while len(read) < len(written):
        page = catalog.page(after, limit=100)
        read += page
        after = page[-1].code
    assert read[: len(written)] == written
    catalog.put_many(written)
    assert events_of(connections, written[200].code) == [("product.created", 1), ("product.changed", 2)]
    assert catalog.products([one.code for one in written])[written[7].code].version == 2


def test_writing_again_changes_everything_but_the_day_of_creation(catalog: Catalog, new_products: NewProducts) -> None:
    (product,) = new_products(1)
    catalog.put_many([product])
    later = datetime(2026, 6, 7, tzinfo=UTC)
    only = product.variants[0].model_copy(update={"options": {}, "weight_grams": 1, "prices": [price(7)]})
    changed = product.model_copy(
        update={
            "name": "Another",
            "status": ProductStatus.ARCHIVED,
            "options": [],
            "variants": [only],
            "images": [],
            "created_at": later,
            "updated_at": later,
        }
    )
    catalog.put_many([changed])
    read = catalog.product(product.code)
    assert read is not None
    dropped = read.variants[-1]
    assert (dropped.sku, dropped.active) == (product.variants[1].sku, False)
    assert read == changed.model_copy(update={"created_at": CREATED, "version": 2, "variants": [only, dropped]})


def test_each_change_raises_the_revision_and_says_what_happened(
    catalog: Catalog, new_products: NewProducts, connections: Connections
) -> None:
    (product,) = new_products(1)
    archived = product.model_copy(update={"status": ProductStatus.ARCHIVED})
    for one in (product, product, archived, archived, product):
        catalog.put_many([one])
    kinds = ["created", "changed", "archived", "changed", "changed"]
    assert events_of(connections, product.code) == [(f"product.{kind}", n) for n, kind in enumerate(kinds, start=1)]
    with connections.engine.connect() as connection:
        query = sa.select(product_revisions.c.revision).where(product_revisions.c.product == product.code)
        assert connection.scalar(query) == len(kinds)


def test_only_those_that_exist_are_found(catalog: Catalog, new_products: NewProducts) -> None:
    first, second = new_products(2)
    catalog.put_many([first])
    assert catalog.products([first.code, second.code, "NO-SUCH"]).keys() == {first.code}
    assert catalog.products([]) == {}
    assert catalog.product(first.code.lower()) is None
    assert catalog.offers([first.variants[0].sku, "NO-SUCH"]).keys() == {first.variants[0].sku}


def test_an_offer_has_the_price_of_the_moment(catalog: Catalog, new_products: NewProducts) -> None:
    (product,) = new_products(1)
    sku = product.variants[0].sku
    costs = [price(1000, begins=-9), price(800, begins=-2, ends=2), price(1200, begins=5)]
    variant = product.variants[0].model_copy(update={"prices": costs})
    catalog.put_many([product.model_copy(update={"variants": [variant, product.variants[1]]})])

    def cost(hours: float, currency: str = "EUR") -> Money | None:
        return catalog.offers([sku], currency, datetime.now(UTC) + timedelta(hours=hours))[sku].price

    found = [cost(hours) for hours in (-10, -5, 0, 3, 6)]
    assert found == [None, *(Money(amount=amount, currency="EUR") for amount in (1000, 800, 1000, 1200))]
    assert cost(0, "USD") is None
    offer = catalog.offer(sku)
    assert offer is not None
    assert (offer.name, offer.for_sale, offer.product) == (f"{product.name}, S, red", True, product.code)


def test_a_number_belongs_to_one_product(catalog: Catalog, new_products: NewProducts) -> None:
    first, second = new_products(2)
    catalog.put_many([first])
    theirs = second.variants[0].model_copy(update={"sku": first.variants[0].sku, "weight_grams": 1})
    for stolen in (
        second.model_copy(update={"variants": [theirs]}),
        second.model_copy(update={"code": first.variants[0].sku}),
        second.model_copy(update={"variants": [theirs.model_copy(update={"sku": first.code})]}),
    ):
        with pytest.raises(SkuTaken):
            catalog.put_many([stolen])
        assert catalog.product(first.code) == first
        assert catalog.product(second.code) is None


def test_writers_of_the_same_products_in_any_order_do_not_hinder_each_other(
    catalog: Catalog, new_products: NewProducts, connections: Connections
) -> None:
    written = new_products(20)
    catalog.put_many(written)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda turn: catalog.put_many(written[:: 1 if turn % 2 else -1]), range(12)))
    for one in written:
        assert [revision for _, revision in events_of(connections, one.code)] == list(range(1, 14))
