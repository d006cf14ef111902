"""Products are found as people type: with typos, without accents, half-finished."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import uuid_utils

from adapters.connections import Connections
from adapters.search import ProductSearch
from adapters.search_index import fold, restore
from domain.errors import InvalidRequest
from schemas.base import Money
from schemas.catalog import ProductQuery, ProductView

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def product(sku: str, name: str, brand: str, category: str, price: int, **more: object) -> ProductView:
    stock = int(str(more.pop("stock", 5)))
    fields = {"description": "Made to last.", "weight_grams": 100, "created_at": DAY, "updated_at": DAY, **more}
    money = Money(amount=price, currency="EUR")
    return ProductView(  # type: ignore[call-arg]
        sku=sku,
        name=name,
        brand=brand,
        category=category,
        price=money,
        available=stock,
        in_stock=stock > 0,
        **fields,
    )


PRODUCTS = [
    product("HP-1", "Wireless Headphones Über", "Sønic", "Audio", 9900, popularity=10),
    product("HP-2", "Wired Headphones", "Acme", "Audio", 2900, popularity=90, created_at=DAY + timedelta(days=9)),
    product("HP-3", "Kids Headphones", "Acme", "Toys", 1900, popularity=1, stock=0),
    product("CF-1", "Café Crème <b>Machine</b>", "Acme", "Kitchen", 19900, popularity=50),
    product("LA.MP_1", "Desk Lamp", "Lumière", "Light", 4500, description="Warm light for reading at night."),
]


@pytest.fixture(scope="module")
def search(connections: Connections) -> Iterator[ProductSearch]:
    alias = f"test-search-{uuid_utils.uuid7().hex[-12:]}"
    search = ProductSearch(connections.elasticsearch, alias)
    search.ensure_index()
    assert search.index_products(PRODUCTS, refresh=True) == len(PRODUCTS)
    yield search
    connections.elasticsearch.indices.delete(index=f"{alias}-v1")


def found(search: ProductSearch, **query: object) -> list[str]:
    return [hit.sku for hit in search.search(ProductQuery(**query)).items]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("wireless headphones", "HP-1"),
        ("wireles hedphones", "HP-1"),
        ("uber", "HP-1"),
        ("sonic", "HP-1"),
        ("CAFE creme", "CF-1"),
        ("café crème", "CF-1"),
        ("mach", "CF-1"),
        ("reading night", "LA.MP_1"),
        ("la.mp_1", "LA.MP_1"),
        ("hp-2", "HP-2"),
        ("lumiere", "LA.MP_1"),
    ],
)
def test_what_is_meant_is_found_first(search: ProductSearch, typed: str, first: str) -> None:
    assert found(search, q=typed)[:1] == [first]


def test_nothing_is_found_for_nonsense(search: ProductSearch) -> None:
    page = search.search(ProductQuery(q="xyzzyq"))
    assert (page.items, page.total, page.next_cursor) == ([], 0, None)


@pytest.mark.parametrize("typed", ['"', "*", "\\", "a" * 200, "🚚", "AND OR (", "' OR 1=1 --", "\u0301"])
def test_no_sign_breaks_the_search(search: ProductSearch, typed: str) -> None:
    search.search(ProductQuery(q=typed))
    search.suggest(typed[:50])


def test_a_typo_is_answered_with_what_was_meant(search: ProductSearch) -> None:
    assert search.search(ProductQuery(q="wired hedphones")).did_you_mean == "wired headphones"
    assert search.search(ProductQuery(q="wired headphones")).did_you_mean is None


def test_found_words_are_marked_as_they_are_written_and_markup_is_not_believed(search: ProductSearch) -> None:
    (hit,) = search.search(ProductQuery(q="creme machine")).items
    assert hit.highlight is not None
    assert "<em>Crème</em>" in hit.highlight
    assert "<b>" not in hit.highlight


def test_filters_narrow_and_combine(search: ProductSearch) -> None:
    assert found(search, q="headphones", brand="Acme", in_stock=True) == ["HP-2"]
    assert found(search, min_price=2900, max_price=4500, sort="price_asc") == ["HP-2", "LA.MP_1"]
    assert found(search, in_stock=False) == ["HP-3"]
    assert found(search, category="Toys", brand="Lumière") == []


def test_a_facet_counts_what_choosing_another_value_would_give(search: ProductSearch) -> None:
    page = search.search(ProductQuery(q="headphones", brand="Acme"))
    assert {value.value: value.count for value in page.facets["brand"]} == {"Acme": 2, "Sønic": 1}
    assert {value.value: value.count for value in page.facets["category"]} == {"Audio": 1, "Toys": 1}
    assert page.total == 2


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("price_asc", ["HP-3", "HP-2", "LA.MP_1", "HP-1", "CF-1"]),
        ("price_desc", ["CF-1", "HP-1", "LA.MP_1", "HP-2", "HP-3"]),
        ("popularity", ["HP-2", "CF-1", "HP-1", "HP-3", "LA.MP_1"]),
        (None, ["HP-2", "CF-1", "HP-1", "HP-3", "LA.MP_1"]),
    ],
)
def test_hits_are_sorted_and_paged_without_gap_or_repeat(
    search: ProductSearch, sort: str | None, order: list[str]
) -> None:
    seen: list[str] = []
    cursor: str | None = None
    for _ in order:
        page = search.search(ProductQuery(sort=sort, limit=2, cursor=cursor))  # type: ignore[arg-type]
        seen += [hit.sku for hit in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == order


def test_pages_by_relevance_follow_each_other(search: ProductSearch) -> None:
    first = search.search(ProductQuery(q="headphones", limit=1))
    second = search.search(ProductQuery(q="headphones", limit=2, cursor=first.next_cursor))
    assert {hit.sku for hit in [*first.items, *second.items]} == {"HP-1", "HP-2", "HP-3"}
    assert second.next_cursor is None


@pytest.mark.parametrize("cursor", ["nonsense", "WzFd", "bnVsbA", "e30", "WyJuZXdlc3QiLCAxLCAiQSJd"])
def test_a_cursor_that_is_not_of_this_search_is_refused(search: ProductSearch, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        search.search(ProductQuery(sort="price_asc", cursor=cursor))


@pytest.mark.parametrize(
    ("typed", "name"), [("caf", "Café Crème <b>Machine</b>"), ("crè", "Café Crème <b>Machine</b>")]
)
def test_a_name_is_suggested_by_the_beginning_of_its_words(search: ProductSearch, typed: str, name: str) -> None:
    assert search.suggest(typed) == [name]


def test_a_product_that_is_no_longer_sold_is_no_longer_found(search: ProductSearch) -> None:
    mayfly = product("MAYFLY", "Mayfly Kite", "Acme", "Toys", 100)
    search.index_products([mayfly], refresh=True)
    assert found(search, q="mayfly") == ["MAYFLY"]
    for _ in range(2):
        search.index_products([mayfly.model_copy(update={"active": False})], refresh=True)
    assert found(search, q="mayfly") == []


def test_letters_are_folded_one_by_one_so_that_marks_can_be_put_back() -> None:
    assert fold("Ünal ŁÓDŹ Straße Ørsted") == "unal lodz strasse orsted"
    assert restore("Crème brûlée", "[creme] brulee", ("[", "]")) == "[Crème] brûlée"
    assert restore("Straße", "[strasse]", ("[", "]")) is None
