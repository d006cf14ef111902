"""The catalog over HTTP."""

from typing import Any

import httpx2
import pytest
import uuid_utils

from adapters.connections import Connections
from adapters.mysql.catalog import Catalog
from adapters.mysql.inventory import Stock
from adapters.search import ALIAS, ProductSearch
from adapters.search_rebuild import product_pages


@pytest.fixture
def word(connections: Connections, make_product: Any) -> str:
    """A word that names three products, found by nothing else."""
    word = f"zq{uuid_utils.uuid7().hex[-10:]}"
    for number, price in enumerate((300, 100, 200)):
        make_product(name=f"Lámp {word} {number}", price=price, stock=number)
    search = ProductSearch(connections.elasticsearch, f"{connections.settings.name_prefix}{ALIAS}")
    for page in product_pages(Catalog(connections.engine), Stock(connections.engine)):
        search.index_products(page, refresh=True)
    return word


def test_products_are_found_filtered_and_paged(api: httpx2.Client, word: str) -> None:
    query = {"q": word, "sort": "price_asc", "limit": 2}
    first = api.get("/v1/products", params=query).json()
    assert [hit["price"]["amount"] for hit in first["items"]] == [100, 200]
    assert first["total"] == 3
    assert {facet["value"] for facet in first["facets"]["brand"]} == {"Testbrand"}
    rest = api.get("/v1/products", params=query | {"cursor": first["next_cursor"]}).json()
    assert [hit["price"]["amount"] for hit in rest["items"]] == [300]
    in_stock = api.get("/v1/products", params={"q": word, "in_stock": "true"}).json()
    assert in_stock["total"] == 2


def test_a_cursor_of_another_search_is_refused(api: httpx2.Client, word: str) -> None:
    cursor = api.get("/v1/products", params={"q": word, "sort": "price_asc", "limit": 1}).json()["next_cursor"]
    answer = api.get("/v1/products", params={"q": word, "sort": "newest", "cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_names_are_suggested(api: httpx2.Client, word: str) -> None:
    assert api.get("/v1/products/suggest", params={"q": word[:8]}).json()["items"]


def test_one_product_is_shown_with_its_stock(api: httpx2.Client, make_product: Any) -> None:
    sku = make_product(stock={"BER": 2, "AMS": 3}, price=1234)
    product = api.get(f"/v1/products/{sku}").json()
    assert (product["available"], product["in_stock"]) == (5, True)
    assert product["price"] == {"amount": 1234, "currency": "EUR"}


def test_a_product_that_is_not_sold_is_not_shown(api: httpx2.Client, make_product: Any) -> None:
    assert api.get(f"/v1/products/{make_product(active=False)}").status_code == 404
