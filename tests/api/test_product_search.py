"""Search over HTTP: what a storefront asks, what it must never be answered, and who may rebuild the index."""

import base64
import json
import re

import httpx2
import pytest
import uuid_utils

from adapters.connections import Connections
from adapters.search.feeds import product_feed
from tests.fixture_types import Customer, MakeProduct


@pytest.fixture(scope="module")
def word(api: httpx2.Client, connections: Connections, make_product: MakeProduct) -> str:
    """A word that names three products, found by nothing else."""
    word = f"zq{uuid_utils.uuid7().hex[-10:]}"
    prices = enumerate((300, 100, 200))
    skus = [make_product(name=f"Lámp {word} {number}", price=price, stock=number) for number, price in prices]
    feed = product_feed(connections.engine, connections.elasticsearch, connections.settings.name_prefix)
    feed.update(skus)
    feed.index.refresh(feed.index.alias)
    return word


def test_products_are_found_filtered_and_paged(api: httpx2.Client, word: str) -> None:
    query: dict[str, str | int] = {"q": word, "sort": "price_asc", "limit": 2}
    first = api.get("/v1/products", params=query).json()
    assert [hit["price"]["amount"] for hit in first["items"]] == [100, 200]
    assert first["total"] == 3
    assert [(value["value"], value["label"]) for value in first["facets"]["brand"]] == [("testbrand", "Testbrand")]
    rest = api.get("/v1/products", params=query | {"cursor": first["next_cursor"]}).json()
    assert [hit["price"]["amount"] for hit in rest["items"]] == [300]
    assert (rest["next_cursor"], rest["total"]) == (None, 3)
    in_stock = api.get("/v1/products", params={"q": word, "in_stock": "true"}).json()
    assert in_stock["total"] == 2


def test_a_typo_is_forgiven_and_what_was_found_is_marked(api: httpx2.Client, word: str) -> None:
    page = api.get("/v1/products", params={"q": f"lamp {word[:-1]}_"}).json()
    assert page["total"] == 3
    assert all("<em>Lámp</em>" in hit["highlight"] for hit in page["items"])


def test_a_cursor_of_another_search_is_refused(api: httpx2.Client, word: str) -> None:
    cursor = api.get("/v1/products", params={"q": word, "sort": "price_asc", "limit": 1}).json()["next_cursor"]
    answer = api.get("/v1/products", params={"q": word, "sort": "newest", "cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_names_brands_and_categories_are_suggested(api: httpx2.Client, word: str) -> None:
    assert api.get("/v1/products/suggest", params={"q": word[:8]}).json()["items"]
    taxonomy = api.get("/v1/products/suggest", params={"q": "testbr"}).json()["taxonomy"]
    assert {"kind": "brand", "code": "testbrand", "name": "Testbrand"} in taxonomy


@pytest.mark.parametrize(
    "query",
    [
        {"q": "\x00"},
        {"q": "🚚" * 100},
        {"q": '") OR 1=1 --'},
        {"q": "* ? ~ ^ : / \\ [ ] { }"},
        {"q": "a" * 200},
        {"q": "a" * 201},
        {"q": "\u202e\u0301\ufeff"},
        {"q": "lamp", "brand": '"\x00*', "category": "🚚"},
        {"q": "lamp", "cursor": "A" * 2000},
        {"q": "lamp", "limit": "101"},
        {"min_price": "10", "max_price": "1"},
        {"max_price": str(10**12)},
        {"currency": "XXX", "sort": "price_desc"},
        {"currency": "eur"},
        {"sort": "_score"},
    ],
)
def test_no_query_breaks_the_search(api: httpx2.Client, query: dict[str, str]) -> None:
    answer = api.get("/v1/products", params=query)
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 422:
        assert answer.json()["code"] == "invalid_request"


@pytest.mark.parametrize("typed", ["\x00", "🚚", '"*', "a" * 50, "\u0301", " "])
def test_nothing_typed_breaks_the_suggestions(api: httpx2.Client, typed: str) -> None:
    assert api.get("/v1/products/suggest", params={"q": typed}).status_code == 200


def test_a_cursor_that_was_tampered_with_is_refused(api: httpx2.Client, word: str) -> None:
    query: dict[str, str | int] = {"q": word, "sort": "price_asc", "limit": 1}
    sealed = api.get("/v1/products", params=query).json()["next_cursor"]
    parts = json.loads(base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4)))
    for place, value in ((2, [1.5, "A"]), (2, ["x", "A"]), (2, [1]), (5, "nonsense"), (5, 7), (3, -1), (4, 3)):
        changed = [*parts[:place], value, *parts[place + 1 :]]
        cursor = base64.urlsafe_b64encode(json.dumps(changed).encode()).decode().rstrip("=")
        answer = api.get("/v1/products", params=query | {"cursor": cursor})
        assert answer.status_code in (200, 422), answer.text


def test_only_who_manages_the_catalog_reindexes(api: httpx2.Client, customer: Customer) -> None:
    for ask in (api.get, api.post):
        assert ask("/v1/products:reindex").status_code == 401
        assert ask("/v1/products:reindex", headers=customer.headers).status_code == 403


def test_search_says_how_long_the_server_took(api: httpx2.Client, word: str) -> None:
    timing = api.get("/v1/products", params={"q": word}).headers["server-timing"]
    assert re.fullmatch(r"elasticsearch;dur=\d+", timing)
