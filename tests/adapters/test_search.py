"""Products are found as people type: with typos, without accents, half-finished."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import uuid_utils

from adapters.connections import Connections
from adapters.search.products import ProductSearch, product_index, versioned
from adapters.search.words import Marker, fold, stem, stems, words
from domain.catalog import ProductStatus
from domain.errors import InvalidRequest
from schemas.search import IndexedProduct, ProductQuery
from tests.fixture_types import Json

DAY = datetime(2026, 1, 1, tzinfo=UTC)
PATHS = {
    "Audio": (["tech", "tech-audio"], ["Electronics", "Audio"]),
    "Toys": (["toys"], ["Toys"]),
    "Kitchen": (["home", "kitchen"], ["Home", "Kitchen"]),
    "Light": (["home", "light"], ["Home", "Light"]),
}


def product(code: str, name: str, brand: str, category: str, price: int, **more: object) -> IndexedProduct:
    codes, names = PATHS[category]
    fields = {
        "revision": 1,
        "code": code,
        "sku": f"{code}-1",
        "skus": [f"{code}-1", f"{code}-2"],
        "name": name,
        "description": "Made to last.",
        "brand": fold(brand),
        "brand_name": brand,
        "category": codes[-1],
        "category_name": category,
        "category_path": codes,
        "category_names": names,
        "prices": {"EUR": price},
        "in_stock": True,
        "popularity": 5,
        "status": ProductStatus.ACTIVE,
        "created_at": DAY,
    }
    return IndexedProduct.model_validate(fields | more)


PRODUCTS = [
    product("HP-1", "Wireless Headphones Über", "Sønic", "Audio", 9900, popularity=10, barcodes=["2000000000017"]),
    product("HP-2", "Wired Headphones", "Acme", "Audio", 2900, popularity=90, created_at=DAY + timedelta(days=9)),
    product("HP-3", "Kids Headphones", "Acme", "Toys", 1900, popularity=1, in_stock=False),
    product("CF-1", "Café Crème <b>Machine</b>", "Acme", "Kitchen", 19900, popularity=50,
            prices={"EUR": 19900, "USD": 1}),
    product("LA.MP_1", "Table Lamp", "Lumière", "Light", 4500, description="Warm light for reading at night."),
    product("KN-1", "Bread Knife 28cm", "Acme", "Kitchen", 3900,
            attributes={"material": "Steel", "dishwasher_safe": True}),
    product("SH-1", "T-Shirt", "Lumière", "Toys", 1500, option_values=["Forest Green", "XL"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def alias() -> str:
    return f"test-search-{uuid_utils.uuid7().hex[-12:]}-v1"


@pytest.fixture(scope="module")
def search(connections: Connections, alias: str) -> Iterator[ProductSearch]:
    search = ProductSearch(connections.elasticsearch, alias)
    search.ensure_index()
    search.ensure_index()
    assert search.index_products(PRODUCTS, refresh=True) == len(PRODUCTS)
    yield search
    connections.elasticsearch.indices.delete(index=str(product_index(connections.elasticsearch, alias).current()))


def found(search: ProductSearch, **query: object) -> list[str]:
    return [hit.product for hit in search.search(ProductQuery.model_validate(query)).items]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("wireless headphones", "HP-1"),
        ("headphones wireless", "HP-1"),
        ("wireles hedphones", "HP-1"),
        ("head phones kids", "HP-3"),
        ("headphone kid", "HP-3"),
        ("uber", "HP-1"),
        ("sonic", "HP-1"),
        ("audio acme", "HP-2"),
        ("electronics sonic", "HP-1"),
        ("CAFE creme", "CF-1"),
        ("café crème", "CF-1"),
        ("cafe\u0301 cre\u0300me", "CF-1"),
        ("mach", "CF-1"),
        ("reading night", "LA.MP_1"),
        ("la.mp_1", "LA.MP_1"),
        ("hp-2", "HP-2"),
        ("HP-2-2", "HP-2"),
        ("hp-3-", "HP-3"),
        ("2000000000017", "HP-1"),
        ("lumiere lamps", "LA.MP_1"),
        ("knives", "KN-1"),
        ("bread knife 28 cm", "KN-1"),
        ("steel knife", "KN-1"),
        ("dishwasher safe", "KN-1"),
        ("tshirt green", "SH-1"),
        ("t shirt xl", "SH-1"),
        ("the lamp for a table", "LA.MP_1"),
    ],
)
def test_what_is_meant_is_found_first(search: ProductSearch, typed: str, first: str) -> None:
    assert found(search, q=typed)[:1] == [first]


def test_nothing_is_found_for_nonsense(search: ProductSearch) -> None:
    page = search.search(ProductQuery(q="xyzzyq"))
    assert (page.items, page.total, page.next_cursor) == ([], 0, None)


@pytest.mark.parametrize(
    "typed",
    [
        '"',
        "*",
        "\\",
        "a" * 200,
        "a " * 100,
        "🚚",
        "AND OR (",
        "' OR 1=1 --",
        "\u0301",
        "\x00\x1f",
        "~2 +-&|!",
        "9" * 200,
    ],
)
def test_no_sign_breaks_the_search(search: ProductSearch, typed: str) -> None:
    for order in ("relevance", "newest"):
        search.search(ProductQuery(q=typed, sort=order))
    search.suggest(typed[:50])


def test_signs_that_are_no_words_find_nothing_rather_than_everything(search: ProductSearch) -> None:
    assert found(search, q="🚚") == []
    assert len(found(search, q="  ")) == len(PRODUCTS)


def test_a_typo_is_answered_with_what_was_meant(search: ProductSearch) -> None:
    assert search.search(ProductQuery(q="wired hedphones")).did_you_mean == "wired headphones"
    assert search.search(ProductQuery(q="wired headphones")).did_you_mean is None


def test_a_word_spelled_right_brings_no_words_spelled_alike(search: ProductSearch) -> None:
    assert found(search, q="wired") == ["HP-2"]


def test_found_words_are_marked_as_they_are_written_and_markup_is_not_believed(search: ProductSearch) -> None:
    (hit,) = search.search(ProductQuery(q="creme mashine")).items
    assert hit.highlight == "Café <em>Crème</em> &lt;b&gt;<em>Machine</em>&lt;/b&gt;"
    assert search.search(ProductQuery(q="reading night")).items[0].highlight is None


def test_filters_narrow_and_combine(search: ProductSearch) -> None:
    assert found(search, q="headphones", brand="Acme", in_stock=True) == ["HP-2"]
    assert found(search, q="headphones", brand="acme", in_stock=True) == ["HP-2"]
    assert found(search, min_price=2900, max_price=4500, sort="price_asc") == ["HP-2", "KN-1", "LA.MP_1"]
    assert found(search, in_stock=False) == ["HP-3"]
    assert found(search, category="Toys", brand="Acme", sort="price_asc") == ["HP-3"]
    assert found(search, category="toys", brand="Lumière", in_stock=False) == []


def test_a_category_contains_what_is_below_it(search: ProductSearch) -> None:
    assert set(found(search, category="home")) == set(found(search, category="Home")) == {"CF-1", "LA.MP_1", "KN-1"}
    assert found(search, category="light") == ["LA.MP_1"]


def test_prices_are_those_of_the_currency_asked_for(search: ProductSearch) -> None:
    page = search.search(ProductQuery(currency="USD", max_price=5))
    assert [(hit.product, hit.price.amount, hit.price.currency) for hit in page.items] == [("CF-1", 1, "USD")]
    assert found(search, currency="CHF", sort="price_desc") == []


def counts(search: ProductSearch, facet: str, **query: object) -> dict[str, int]:
    return {value.value: value.count for value in search.search(ProductQuery.model_validate(query)).facets[facet]}


def test_a_facet_counts_what_choosing_another_value_would_give(search: ProductSearch) -> None:
    query = {"q": "headphones", "brand": "Acme"}
    assert counts(search, "brand", **query) == {"acme": 2, "sonic": 1}
    assert counts(search, "category", **query) == {"tech": 1, "tech-audio": 1, "toys": 1}
    assert counts(search, "in_stock", **query) == {"true": 1, "false": 1}
    assert counts(search, "price", **query) == {"1000-2499": 1, "2500-4999": 1}
    assert search.search(ProductQuery.model_validate(query)).total == 2


@pytest.mark.parametrize(
    "choice", [{"brand": "acme"}, {"category": "home"}, {"min_price": 2500, "max_price": 4999}, {"in_stock": True}]
)
def test_every_count_is_true(search: ProductSearch, choice: Json) -> None:
    facets = search.search(ProductQuery(**choice)).facets
    for facet in ("brand", "category", "in_stock"):
        for value in facets[facet]:
            assert search.search(ProductQuery(**(choice | {facet: value.value}))).total == value.count
    for value in facets["price"]:
        low, high = value.value.split("-")
        chosen = choice | {"min_price": int(low), "max_price": int(high) if high else None}
        assert search.search(ProductQuery(**chosen)).total == value.count


def test_facets_are_called_by_their_names_and_may_be_left_out(search: ProductSearch) -> None:
    facets = search.search(ProductQuery(q="headphones")).facets
    assert {value.label for value in facets["brand"]} == {"Acme", "Sønic"}
    assert {value.label for value in facets["category"]} == {"Electronics", "Audio", "Toys"}
    assert {value.label for value in facets["price"]} == {"10 – 25", "25 – 50", "50 – 100"}
    assert search.search(ProductQuery(q="headphones", facets=False)).facets == {}


SORTED = {
    "price_asc": ["SH-1", "HP-3", "HP-2", "KN-1", "LA.MP_1", "HP-1", "CF-1"],
    "price_desc": ["CF-1", "HP-1", "LA.MP_1", "KN-1", "HP-2", "HP-3", "SH-1"],
    "popularity": ["HP-2", "CF-1", "HP-1", "KN-1", "LA.MP_1", "SH-1", "HP-3"],
    "newest": ["HP-2", "CF-1", "HP-1", "HP-3", "KN-1", "LA.MP_1", "SH-1"],
}


@pytest.mark.parametrize("sort", SORTED)
def test_hits_are_sorted_and_paged_without_gap_or_repeat(search: ProductSearch, sort: str) -> None:
    assert turn(search, sort=sort, limit=2) == SORTED[sort]


def turn(search: ProductSearch, **query: object) -> list[str]:
    """All pages, one after the other."""
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = search.search(ProductQuery.model_validate(query | {"cursor": cursor}))
        seen += [hit.product for hit in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return seen


def test_pages_by_relevance_follow_each_other_and_know_the_total(search: ProductSearch) -> None:
    first = search.search(ProductQuery(q="headphones", limit=1))
    second = search.search(ProductQuery(q="headphones", limit=2, cursor=first.next_cursor))
    assert {hit.product for hit in [*first.items, *second.items]} == {"HP-1", "HP-2", "HP-3"}
    assert (first.total, second.total, second.next_cursor, second.facets) == (3, 3, None, {})


def test_pages_of_forgiven_typos_follow_each_other(search: ProductSearch) -> None:
    assert sorted(turn(search, q="hedphones", limit=1)) == ["HP-1", "HP-2", "HP-3"]


def test_pages_stay_as_they_are_while_products_change(connections: Connections) -> None:
    alias = f"test-search-{uuid_utils.uuid7().hex[-12:]}-v1"
    search = ProductSearch(connections.elasticsearch, alias)
    search.ensure_index()
    kites = [product(f"KITE-{n:02}", f"Kite {n}", "Acme", "Toys", 100 + n) for n in range(9)]
    search.index_products(kites, refresh=True)
    try:
        first = search.search(ProductQuery(q="kite", sort="price_asc", limit=3))
        # One of the first page goes to its end, one of the second jumps to the front.
        moved = {0: 999, 4: 1}
        search.index_products(
            [kites[n].model_copy(update={"revision": 2, "prices": {"EUR": price}}) for n, price in moved.items()],
            refresh=True,
        )
        second = search.search(ProductQuery(q="kite", sort="price_asc", limit=3, cursor=first.next_cursor))
        # The two that come next jump to the front, and a new one appears between.
        ahead = [kite.model_copy(update={"revision": 2, "prices": {"EUR": 1}}) for kite in kites[6:8]]
        search.index_products([*ahead, product("KITE-99", "Kite 99", "Acme", "Toys", 107)], refresh=True)
        third = search.search(ProductQuery(q="kite", sort="price_asc", limit=9, cursor=second.next_cursor))
        seen = [hit.product for page in (first, second, third) for hit in page.items]
        assert seen == [kite.code for kite in kites]
    finally:
        connections.elasticsearch.indices.delete(index=str(product_index(connections.elasticsearch, alias).current()))


def test_pages_after_the_view_has_ended_miss_and_repeat_only_what_moved(
    connections: Connections,
) -> None:
    alias = f"test-search-{uuid_utils.uuid7().hex[-12:]}-v1"
    search = ProductSearch(connections.elasticsearch, alias)
    search.ensure_index()
    kites = [product(f"KITE-{n:02}", f"Kite {n}", "Acme", "Toys", 100 + n) for n in range(9)]
    search.index_products(kites, refresh=True)
    try:
        first = search.search(ProductQuery(q="kite", sort="price_asc", limit=3))
        connections.elasticsearch.close_point_in_time(id=search._point._id)
        moved = {0: 999, 4: 1}
        search.index_products(
            [kites[n].model_copy(update={"revision": 2, "prices": {"EUR": price}}) for n, price in moved.items()],
            refresh=True,
        )
        rest = search.search(ProductQuery(q="kite", sort="price_asc", limit=9, cursor=first.next_cursor))
        assert [hit.product for hit in rest.items] == [kites[n].code for n in (3, 5, 6, 7, 8, 0)]
    finally:
        connections.elasticsearch.indices.delete(index=str(product_index(connections.elasticsearch, alias).current()))


def test_a_view_that_is_gone_is_replaced_without_a_word(search: ProductSearch, connections: Connections) -> None:
    first = search.search(ProductQuery(sort="price_asc", limit=2))
    second = search.search(ProductQuery(sort="price_asc", limit=2, cursor=first.next_cursor))
    point = search._point._id
    assert connections.elasticsearch.close_point_in_time(id=point)["num_freed"] == 1
    third = search.search(ProductQuery(sort="price_asc", limit=2, cursor=second.next_cursor))
    assert [hit.product for hit in third.items] == SORTED["price_asc"][4:6]
    assert search._point._id != point


def test_those_who_turn_pages_together_share_a_view(search: ProductSearch) -> None:
    first = search.search(ProductQuery(sort="newest", limit=2))
    for _ in range(3):
        search.search(ProductQuery(sort="newest", limit=2, cursor=first.next_cursor))
        opened = search._point._opened
    search.search(ProductQuery(sort="newest", limit=2, cursor=first.next_cursor))
    assert search._point._opened - opened < 0.001


@pytest.mark.parametrize("cursor", ["nonsense", "WzFd", "bnVsbA", "e30", "WyJuZXdlc3QiLCAxLCAiQSJd", "W1tbW1tb", "__"])
def test_a_cursor_that_is_not_of_this_search_is_refused(search: ProductSearch, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        search.search(ProductQuery(sort="price_asc", cursor=cursor))


@pytest.mark.parametrize("other", [{"q": "lamp"}, {"brand": "acme"}, {"sort": "newest"}, {"currency": "USD"}])
def test_a_cursor_belongs_to_its_search(search: ProductSearch, other: Json) -> None:
    cursor = search.search(ProductQuery(sort="price_asc", limit=1)).next_cursor
    with pytest.raises(InvalidRequest):
        search.search(ProductQuery(**({"sort": "price_asc", "cursor": cursor} | other)))


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("caf", "Café Crème <b>Machine</b>"),
        ("crè", "Café Crème <b>Machine</b>"),
        ("Wirelss", "Wireless Headphones Über"),
        ("table l", "Table Lamp"),
    ],
)
def test_a_name_is_suggested_by_the_beginning_of_its_words(search: ProductSearch, typed: str, name: str) -> None:
    assert search.suggest(typed).items == [name]


def test_brands_and_categories_are_suggested(search: ProductSearch) -> None:
    assert [(one.kind, one.code, one.name) for one in search.suggest("lumi").taxonomy] == [
        ("brand", "lumiere", "Lumière")
    ]
    assert [(one.kind, one.code, one.name) for one in search.suggest("aud").taxonomy] == [
        ("category", "tech-audio", "Audio")
    ]
    assert search.suggest("zzz").taxonomy == []


@pytest.mark.parametrize("status", [ProductStatus.DRAFT, ProductStatus.ARCHIVED])
def test_a_product_that_is_not_sold_is_neither_found_nor_suggested(
    search: ProductSearch, status: ProductStatus
) -> None:
    code = f"MAYFLY-{status}"
    mayfly = product(code, f"Mayfly{status} Kite", "Acme", "Toys", 100)
    search.index_products([mayfly], refresh=True)
    assert found(search, q=f"mayfly{status}") == [code]
    for _ in range(2):
        search.index_products([mayfly.model_copy(update={"status": status, "revision": 2})], refresh=True)
    assert found(search, q=f"mayfly{status}") == found(search, q=code) == search.suggest(f"mayfly{status}").items == []
    assert search.search(ProductQuery(q="mayflydrafd")).did_you_mean is None


def test_an_older_state_never_replaces_a_newer_one(search: ProductSearch, connections: Connections, alias: str) -> None:
    index = product_index(connections.elasticsearch, alias)
    newer = product("OLD-1", "Newer", "Acme", "Toys", 100, revision=7, status=ProductStatus.DRAFT)
    older = newer.model_copy(update={"revision": 6, "name": "Older"})
    for state in (newer, older, newer):
        index.put(index.targets(), versioned([state]))
    kept = connections.elasticsearch.get(index=alias, id="OLD-1")
    assert (kept["_source"]["name"], kept["_version"]) == ("Newer", 7)


def test_a_write_to_an_index_that_is_gone_makes_none(connections: Connections, alias: str) -> None:
    index = product_index(connections.elasticsearch, alias)
    assert index.put(["test-search-never-made"], versioned(PRODUCTS[:1])) == 1
    assert not connections.elasticsearch.indices.exists(index="test-search-never-made")
    assert not connections.elasticsearch.indices.exists(index="test-search-never-made-docs")


def test_words_are_folded_and_lose_their_plural() -> None:
    assert fold("Ünal ŁÓDŹ Straße Ørsted") == "unal lodz strasse orsted"
    assert words("T-Shirt 28cm 1,5 l Men's") == ["t", "shirt", "28", "cm", "1.5", "l", "mens"]
    assert {stem(word) for word in ("knife", "knives")} == {"kniv"}
    assert [stem(word) for word in ("boxes", "glasses", "batteries", "mice", "glass", "bus", "gloves", "28")] == [
        "box", "glass", "battery", "mouse", "glass", "bus", "glove", "28",
    ]  # fmt: skip
    assert stems("Pour-Over") == "pour over pourover"
    assert Marker(["creme"]).mark("Crème brûlée") == "<em>Crème</em> brûlée"
    assert Marker(["lamp"]).mark("Straße") is None
