"""Quotes: what is shown is what is asked for, or less; never silently more."""

import uuid
from collections.abc import Callable

import httpx2
import pytest

from adapters.connections import Connections
from adapters.mysql.catalog.products import Catalog
from dev.testbed import Testbed
from schemas.catalog import Price
from tests.fixture_types import Customer, Json, MakeCustomer, MakeProduct

ADDRESS = {"name": "Ada Lovelace", "line1": "Lindenweg 1", "city": "Berlin", "postal_code": "10117", "country": "DE"}


@pytest.fixture
def shop(api: httpx2.Client, customer: Customer) -> "Shop":
    return Shop(api, customer.headers)


class Shop:
    """A customer with a cart."""

    def __init__(self, api: httpx2.Client, headers: dict[str, str]) -> None:
        self.api = api
        self.headers = headers

    def put(self, sku: str, quantity: int = 1) -> int:
        answer = self.api.put(f"/v1/cart/items/{sku}", json={"quantity": quantity}, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["version"])

    def quote(self, **wanted: object) -> httpx2.Response:
        return self.api.post("/v1/quotes", json={"country": "DE", **wanted}, headers=self.headers)

    def check_out(self, version: int, **wanted: object) -> httpx2.Response:
        body = {"cart_version": version, "shipping_address": ADDRESS, "payment_method": "pm_card_visa", **wanted}
        return self.api.post("/v1/checkouts", json=body, headers=self.headers | {"Idempotency-Key": uuid.uuid4().hex})


@pytest.fixture
def set_price(connections: Connections) -> Callable[..., None]:
    """Change what a SKU costs, with prices for more units of it."""

    def change(sku: str, amount: int, **tiers: int) -> None:
        catalog = Catalog(connections.engine)
        product = catalog.product(sku)
        assert product is not None
        (variant,) = product.variants
        start = variant.prices[0].valid_from
        sizes = {1: amount} | {int(name.removeprefix("from_")): cost for name, cost in tiers.items()}
        prices = [
            Price(amount=cost, currency="EUR", min_quantity=size, valid_from=start) for size, cost in sizes.items()
        ]
        changed = variant.model_copy(update={"prices": prices})
        catalog.put_many([product.model_copy(update={"variants": [changed]})])

    return change


def amount(body: Json, *names: str) -> list[int]:
    return [body[name]["amount"] for name in names]


def test_a_quote_is_what_the_order_costs(shop: Shop, make_product: MakeProduct) -> None:
    version = shop.put(make_product(price=1000), 3)
    quote = shop.quote().json()
    subtotal, discount, shipping, tax, total = amount(quote, "subtotal", "discount", "shipping", "tax", "total")
    assert (subtotal, discount, quote["tax_included"]) == (3000, 0, False)
    assert total == subtotal + shipping + tax
    assert [line["subtotal"]["amount"] for line in quote["lines"]] == [3000]
    options = {option["code"]: option["price"]["amount"] for option in quote["shipping_options"]}
    assert options["standard"] == shipping
    assert set(options) == {"standard", "express", "pickup"}
    placed = shop.check_out(version, quote=quote["quote"])
    assert placed.status_code == 201, placed.text
    assert placed.json()["total"] == quote["total"]


def test_a_quote_with_the_same_price_has_the_same_hash(
    shop: Shop, make_product: MakeProduct, set_price: Callable[..., None]
) -> None:
    sku = make_product(price=1000)
    shop.put(sku)
    first, again = shop.quote().json(), shop.quote(shipping_address=ADDRESS, country=None).json()
    assert first["hash"] == again["hash"]
    set_price(sku, 999)
    assert shop.quote().json()["hash"] != first["hash"]


def test_a_higher_price_is_shown_before_it_is_asked_for(
    shop: Shop, make_product: MakeProduct, set_price: Callable[..., None]
) -> None:
    sku = make_product(price=1000)
    version = shop.put(sku)
    shown = shop.quote().json()
    set_price(sku, 1100)
    refused = shop.check_out(version, quote=shown["quote"])
    assert (refused.status_code, refused.json()["code"]) == (409, "quote_changed")
    assert refused.json()["changed"] == ["subtotal", "tax", "total"]
    renewed = refused.json()["quote"]
    assert renewed["subtotal"]["amount"] == 1100
    placed = shop.check_out(version, quote=renewed["quote"])
    assert (placed.status_code, placed.json()["total"]) == (201, renewed["total"])


def test_a_lower_price_is_taken_as_it_is(shop: Shop, make_product: MakeProduct, set_price: Callable[..., None]) -> None:
    sku = make_product(price=1000)
    version = shop.put(sku)
    shown = shop.quote().json()
    set_price(sku, 900)
    placed = shop.check_out(version, quote=shown["quote"])
    assert (placed.status_code, placed.json()["subtotal"]["amount"]) == (201, 900)


def test_a_quote_for_another_address_or_version_does_not_count(shop: Shop, make_product: MakeProduct) -> None:
    version = shop.put(make_product(price=1000))
    shown = shop.quote().json()
    dearer = shop.check_out(version, quote=shown["quote"], shipping_method="express")
    assert (dearer.status_code, dearer.json()["code"]) == (409, "quote_changed")
    assert "shipping" in dearer.json()["changed"]
    later = shop.put(make_product(price=1))
    refused = shop.check_out(later, quote=shown["quote"])
    assert (refused.status_code, refused.json()["code"], refused.json()["changed"]) == (409, "cart_changed", ["cart"])
    assert refused.json()["cart"]["version"] == later
    stale = shop.quote(cart_version=version)
    assert (stale.status_code, stale.json()["code"]) == (409, "cart_changed")


def test_somebody_elses_quote_does_not_count(
    shop: Shop, api: httpx2.Client, make_customer: MakeCustomer, make_product: MakeProduct
) -> None:
    sku = make_product(price=1000)
    version = shop.put(sku)
    other = Shop(api, make_customer().headers)
    other.put(sku)
    refused = shop.check_out(version, quote=other.quote().json()["quote"])
    assert (refused.status_code, refused.json()["code"]) == (409, "cart_changed")


def test_a_quote_that_was_tampered_with_is_refused(shop: Shop, make_product: MakeProduct) -> None:
    version = shop.put(make_product())
    token = shop.quote().json()["quote"]
    for bad in (token[:-2] + ("aa" if token[-2:] != "aa" else "bb"), "." + token, token.replace(".", ""), "ü"):
        refused = shop.check_out(version, quote=bad)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_quote"), bad


def test_a_quote_that_is_too_old_is_made_again(engine: Testbed, shop: Shop, make_product: MakeProduct) -> None:
    version = shop.put(make_product())
    with engine.another_api(ORDERS_QUOTE_MINUTES="0.0001") as address, httpx2.Client(base_url=address) as hasty:
        old = Shop(hasty, shop.headers).quote().json()
    refused = shop.check_out(version, quote=old["quote"])
    assert (refused.status_code, refused.json()["code"]) == (409, "quote_expired")
    assert shop.check_out(version, quote=refused.json()["quote"]["quote"]).status_code == 201


def test_a_guest_may_ask_what_it_costs(api: httpx2.Client, make_product: MakeProduct) -> None:
    guest = Shop(api, {"X-Cart-Token": uuid.uuid4().hex})
    guest.put(make_product(price=1000))
    assert guest.quote().json()["subtotal"]["amount"] == 1000


def test_more_units_cost_less_each(
    shop: Shop, make_product: MakeProduct, set_price: Callable[..., None], api: httpx2.Client
) -> None:
    sku = make_product(price=1000, stock=100)
    set_price(sku, 1000, from_10=800, from_50=700)
    found = []
    for quantity in (1, 9, 10, 49, 50):
        shop.put(sku, quantity)
        found.append(shop.quote().json()["lines"][0]["unit_price"]["amount"])
    assert found == [1000, 1000, 800, 800, 700]
    page = api.get(f"/v1/products/{sku}").json()
    assert page["price"]["amount"] == 1000
    assert [(one["min_quantity"], one["price"]["amount"]) for one in page["quantity_prices"]] == [(10, 800), (50, 700)]


@pytest.mark.parametrize(
    "wanted",
    [
        {"country": None},
        {"shipping_address": ADDRESS},
        {"country": "Germany"},
        {"shipping_method": "drone"},
        {"currency": "XXX"},
        {"currency": "USD"},
        {"cart_version": 0},
        {"discount_code": "NO-SUCH"},
        {"discount_code": "ＳＰＲＩＮＧ"},
        {"total": 1},
        {"user_id": "somebody else"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(shop: Shop, make_product: MakeProduct, wanted: dict[str, object]) -> None:
    shop.put(make_product())
    answer = shop.quote(**wanted)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_empty_cart_costs_nothing_to_ask_about(shop: Shop) -> None:
    assert shop.quote().json()["code"] == "empty_cart"
