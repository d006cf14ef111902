"""The page of a product: what it is, what it costs now, whether it can be had; for everybody, without the search."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import sqlalchemy as sa

from adapters.connections import Connections
from adapters.mysql.catalog.pages import ProductPages
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.catalog.taxonomy import Taxonomy
from adapters.mysql.orders.stock import Stock
from adapters.mysql.tables.schema import metadata
from adapters.mysql.tables.stock import stock_rules
from domain.catalog import ALWAYS, ProductStatus
from schemas.catalog import Brand, Category, Image, Price, Product, Variant
from tests.fixture_types import Customer, Headers, Json, MakeProduct

Put = Callable[..., Product]


def price(amount: int, begins: float = -24, ends: float | None = None, currency: str = "EUR") -> Price:
    """A price whose window is given in hours from now."""
    moment = datetime.now(UTC)
    until = None if ends is None else moment + timedelta(hours=ends)
    return Price(amount=amount, currency=currency, valid_from=moment + timedelta(hours=begins), valid_to=until)


@pytest.fixture
def put(connections: Connections) -> Put:
    """Write a product with two variants, S with units and L without, answer it."""

    def put(**changes: object) -> Product:
        code = f"PAGE-{uuid.uuid4().hex[:10].upper()}"
        variants = [
            Variant(
                sku=f"{code}-S",
                options={"Size": "S"},
                weight_grams=500,
                prices=[price(1000), price(1100, currency="USD")],
            ),
            Variant(sku=f"{code}-L", options={"Size": "L"}, weight_grams=700, length_mm=90, prices=[price(1500)]),
        ]
        moment = datetime.now(UTC)
        fields = {
            "code": code,
            "name": "Page lamp",
            "brand": "testbrand",
            "category": "tests",
            "attributes": {"Watts": 5},
            "options": ["Size"],
            "variants": variants,
            "images": [Image(url=f"https://cdn.example.com/{n}.jpg", alt=f"No. {n}") for n in range(12)],
            "created_at": moment,
            "updated_at": moment,
        }
        product = Product.model_validate(fields | changes)
        Catalog(connections.engine).put_many([product])
        Stock(connections.engine).receive(
            [(f"{product.code}-S", "BER", 2), (f"{product.code}-S", "AMS", 3)], "staff:test", "made by a test"
        )
        return product

    return put


def test_one_product_is_shown_with_its_stock(api: httpx2.Client, make_product: MakeProduct) -> None:
    sku = make_product(stock={"BER": 2, "AMS": 3}, price=1234)
    product = api.get(f"/v1/products/{sku}").json()
    assert (product["sku"], product["available"], product["in_stock"]) == (sku, 5, True)
    assert product["price"] == {"amount": 1234, "currency": "EUR"}
    assert (product["brand"], product["category"]) == ("testbrand", "tests")


def test_attributes_stand_by_name_on_every_server(api: httpx2.Client, put: Put) -> None:
    product = put(attributes={"Watts": 5, "Dimmable": True, "E14": 1})
    assert list(api.get(f"/v1/products/{product.code}").json()["attributes"]) == ["Dimmable", "E14", "Watts"]


def test_a_page_shows_every_variant_and_is_found_by_code_and_by_each_sku(api: httpx2.Client, put: Put) -> None:
    product = put()
    by_code = api.get(f"/v1/products/{product.code}").json()
    assert (by_code["sku"], by_code["price"]["amount"], by_code["available"]) == (f"{product.code}-S", 1000, 5)
    small, large = by_code["variants"]
    assert (small["options"], small["in_stock"], small["weight_grams"]) == ({"Size": "S"}, True, 500)
    assert (large["price"]["amount"], large["available"], large["in_stock"]) == (1500, 0, False)
    assert (large["length_mm"], large["backorderable"], large["prices"]) == (90, False, None)
    assert [image["alt"] for image in by_code["images"]] == [f"No. {n}" for n in range(12)]
    assert (by_code["attributes"], by_code["options"], by_code["version"]) == ({"Watts": 5}, ["Size"], 1)
    by_sku = api.get(f"/v1/products/{product.code}-L").json()
    assert (by_sku["sku"], by_sku["price"]["amount"], by_sku["in_stock"]) == (f"{product.code}-L", 1500, False)
    assert by_sku["variants"] == by_code["variants"]


def test_the_path_leads_from_the_root_to_the_category(api: httpx2.Client, put: Put, connections: Connections) -> None:
    mark = uuid.uuid4().hex[:8]
    codes = [f"{mark}-{part}" for part in ("home", "light", "table")]
    categories = [
        Category(code=code, name=f"Näme {code}", parent=parent)
        for code, parent in zip(codes, [None, *codes], strict=False)
    ]
    Taxonomy(connections.engine).ensure([Brand(code=f"{mark}-b", name="Lumière")], categories)
    product = put(brand=f"{mark}-b", category=codes[-1])
    page = api.get(f"/v1/products/{product.code}").json()
    assert page["category_path"] == [{"code": code, "name": f"Näme {code}"} for code in codes]
    assert (page["category"], page["category_name"], page["brand_name"]) == (codes[-1], f"Näme {codes[-1]}", "Lumière")


def test_prices_are_those_of_the_currency_asked_for(api: httpx2.Client, put: Put) -> None:
    product = put()
    page = api.get(f"/v1/products/{product.code}", params={"currency": "USD"}).json()
    assert page["price"] == {"amount": 1100, "currency": "USD"}
    assert page["variants"][1]["price"] is None
    refused = api.get(f"/v1/products/{product.code}", params={"currency": "QQQ"})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "unknown_currency")


def test_a_temporary_price_is_shown_with_the_regular_one_and_its_end(put: Put, connections: Connections) -> None:
    regular = Price(amount=1000, currency="EUR", valid_from=ALWAYS)
    sale, later = price(800, begins=-1, ends=1), price(900, begins=5)
    code = f"SALE-{uuid.uuid4().hex[:10].upper()}"
    variant = Variant(sku=f"{code}-S", weight_grams=1, prices=[regular, sale, later])
    product = put(code=code, options=[], variants=[variant], images=[])
    pages = ProductPages(connections.engine)

    def at(hours: float) -> tuple[int | None, int | None, datetime | None]:
        page = pages.page(product.code, at=datetime.now(UTC) + timedelta(hours=hours))
        assert page is not None
        was = page.regular_price
        return page.price.amount if page.price else None, was.amount if was else None, page.price_valid_until

    assert at(-2) == (1000, None, None)
    assert at(0) == (800, 1000, sale.valid_to)
    assert at(2) == (1000, None, None)
    assert at(6) == (900, None, None)


def test_what_can_be_ordered_though_none_is_there_is_shown(
    api: httpx2.Client, put: Put, connections: Connections
) -> None:
    product = put()
    with connections.engine.begin() as connection:
        connection.execute(sa.insert(stock_rules).values(sku=f"{product.code}-L", backorderable=True, low_stock_at=0))
    small, large = api.get(f"/v1/products/{product.code}").json()["variants"]
    assert (large["backorderable"], large["in_stock"], small["backorderable"]) == (True, True, False)


@pytest.mark.parametrize("status", [ProductStatus.DRAFT, ProductStatus.ARCHIVED])
def test_only_staff_sees_what_is_not_for_sale(
    api: httpx2.Client, put: Put, editor: dict[str, str], customer: Customer, status: ProductStatus
) -> None:
    product = put(status=status)
    address = f"/v1/products/{product.code}"
    nobody: Headers = {}
    for headers in (nobody, customer.headers):
        answer = api.get(address, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    page = api.get(address, headers=editor).json()
    assert (page["status"], [len(one["prices"]) for one in page["variants"]]) == (status, [2, 1])
    expired = api.get(address, headers={"Authorization": "Bearer no-token-of-ours"})
    assert (expired.status_code, expired.json()["code"]) == (401, "invalid_token")


def test_a_token_that_has_ended_does_not_hide_what_everybody_sees(api: httpx2.Client, put: Put) -> None:
    product = put()
    answer = api.get(f"/v1/products/{product.code}", headers={"Authorization": "Bearer no-token-of-ours"})
    assert answer.status_code == 200


def test_a_variant_that_is_no_longer_sold_is_shown_to_staff_alone(
    api: httpx2.Client, put: Put, editor: dict[str, str], connections: Connections
) -> None:
    product = put()
    Catalog(connections.engine).put_many([product.model_copy(update={"variants": product.variants[:1]})])
    page = api.get(f"/v1/products/{product.code}-L").json()
    assert (page["sku"], [one["sku"] for one in page["variants"]]) == (f"{product.code}-S", [f"{product.code}-S"])
    seen = api.get(f"/v1/products/{product.code}-L", headers=editor).json()
    assert [(one["sku"][-1], one["active"]) for one in seen["variants"]] == [("S", True), ("L", False)]


@pytest.mark.parametrize("number", ["NO-SUCH", "ü", "a b", "%00", "' OR 1=1 --", "x" * 300])
def test_what_is_no_number_is_not_found(api: httpx2.Client, number: str) -> None:
    assert api.get(f"/v1/products/{number}").status_code == 404


def test_the_etag_changes_with_the_product_its_price_and_its_stock(
    api: httpx2.Client, put: Put, connections: Connections
) -> None:
    product = put()
    address = f"/v1/products/{product.code}"
    first = api.get(address)
    tag = first.headers["etag"]
    assert (first.headers["cache-control"], api.get(address).headers["etag"]) == ("no-cache", tag)
    same = api.get(address, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)

    Stock(connections.engine).receive([(f"{product.code}-L", "BER", 1)], "staff:test", "one more")
    sold = api.get(address, headers={"If-None-Match": tag})
    assert (sold.status_code, sold.json()["version"]) == (200, 1)
    assert sold.headers["etag"] != tag

    Catalog(connections.engine).put_many([product])
    assert api.get(address, headers={"If-None-Match": sold.headers["etag"]}).headers["etag"].startswith('"2-')


Statements = list[tuple[str, Json]]


@pytest.fixture
def statements(connections: Connections) -> Iterator[Statements]:
    """What is asked of the database, with its parameters."""
    asked: Statements = []

    def note(connection: object, cursor: object, statement: str, parameters: Json, context: object, many: bool) -> None:
        asked.append((statement, parameters))

    sa.event.listen(connections.engine, "before_cursor_execute", note)
    yield asked
    sa.event.remove(connections.engine, "before_cursor_execute", note)


def test_the_page_takes_two_statements_and_enters_every_table_by_a_key(
    put: Put, connections: Connections, statements: Statements
) -> None:
    product = put()
    statements.clear()
    assert ProductPages(connections.engine).page(f"{product.code}-L") is not None
    assert len(statements) == 2
    for statement, parameters in list(statements):
        with connections.engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).all()
        for row in plan:
            if row.table in metadata.tables:
                assert row.possible_keys, (row, statement)
