"""The cart over HTTP: whole in every answer, guarded by its ETag, everybody's own."""

from typing import Any

import httpx2
import pytest


def put(api: httpx2.Client, headers: dict[str, str], sku: str, quantity: int) -> httpx2.Response:
    return api.put(f"/v1/cart/items/{sku}", json={"quantity": quantity}, headers=headers)


def test_the_cart_shows_todays_prices_and_whether_there_is_enough(
    api: httpx2.Client, customer: Any, make_product: Any
) -> None:
    plenty, scarce = make_product(stock={"BER": 2, "AMS": 2}, price=1050), make_product(stock=1, price=200)
    put(api, customer.headers, plenty, 4)
    answer = put(api, customer.headers, scarce, 2)
    cart = answer.json()
    assert answer.headers["etag"] == '"2"'
    assert cart["version"] == 2
    assert [(line["sku"], line["quantity"], line["available"]) for line in cart["items"]] == [
        (plenty, 4, True),
        (scarce, 2, False),
    ]
    assert cart["items"][0]["line_total"] == {"amount": 4200, "currency": "EUR"}
    assert cart["subtotal"] == {"amount": 4600, "currency": "EUR"}
    assert api.get("/v1/cart", headers=customer.headers).json() == cart


def test_putting_the_same_again_changes_nothing(api: httpx2.Client, customer: Any, make_product: Any) -> None:
    sku = make_product()
    assert put(api, customer.headers, sku, 2).json() == put(api, customer.headers, sku, 2).json()


def test_a_change_of_a_cart_that_has_changed_is_answered_with_the_cart(
    api: httpx2.Client, customer: Any, make_product: Any
) -> None:
    sku = make_product()
    put(api, customer.headers, sku, 1)
    current = put(api, customer.headers, sku, 2).json()
    stale = customer.headers | {"If-Match": '"1"'}
    for answer in (
        put(api, stale, sku, 9),
        api.delete(f"/v1/cart/items/{sku}", headers=stale),
        api.delete("/v1/cart", headers=stale),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "cart_changed")
        assert answer.json()["cart"] == current
    assert put(api, customer.headers | {"If-Match": '"2"'}, sku, 9).json()["version"] == 3


def test_an_if_match_that_is_no_etag_is_refused(api: httpx2.Client, customer: Any, make_product: Any) -> None:
    answer = put(api, customer.headers | {"If-Match": "two"}, make_product(), 1)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_if_match")


def test_lines_and_the_whole_cart_can_be_taken_out(api: httpx2.Client, customer: Any, make_product: Any) -> None:
    first, second = make_product(), make_product()
    put(api, customer.headers, first, 1)
    put(api, customer.headers, second, 1)
    left = api.delete(f"/v1/cart/items/{first}", headers=customer.headers).json()
    assert [line["sku"] for line in left["items"]] == [second]
    assert api.delete("/v1/cart", headers=customer.headers).json()["items"] == []


def test_a_dot_in_a_sku_is_just_a_dot(api: httpx2.Client, customer: Any, make_product: Any) -> None:
    sku = make_product(sku="TEST-A.B_C.D-1")
    assert [line["sku"] for line in put(api, customer.headers, sku, 1).json()["items"]] == [sku]


def test_a_product_that_is_not_sold_cannot_be_put_in(api: httpx2.Client, customer: Any, make_product: Any) -> None:
    answer = put(api, customer.headers, make_product(active=False), 1)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_product")


def test_everybody_has_their_own_cart(api: httpx2.Client, make_customer: Any, make_product: Any) -> None:
    one, other = make_customer(), make_customer()
    put(api, one.headers, make_product(), 1)
    assert api.get("/v1/cart", headers=other.headers).json()["items"] == []


def test_a_guest_has_the_cart_of_their_token(api: httpx2.Client, make_product: Any) -> None:
    sku, token = make_product(), "guest-token-" + "x" * 30
    put(api, {"X-Cart-Token": token}, sku, 3)
    assert api.get("/v1/cart", headers={"X-Cart-Token": token}).json()["items"][0]["quantity"] == 3
    assert api.get("/v1/cart", headers={"X-Cart-Token": token + "y"}).json()["items"] == []


@pytest.mark.parametrize("token", ["short", "x" * 129, "x" * 40 + "!"])
def test_a_guests_token_that_could_be_guessed_is_refused(api: httpx2.Client, token: str) -> None:
    answer = api.get("/v1/cart", headers={"X-Cart-Token": token})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cart_token")


def test_nobody_has_no_cart(api: httpx2.Client) -> None:
    assert api.get("/v1/cart").status_code == 401
