"""Placing an order over HTTP: one key, one order, one answer, whatever the outcome."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import httpx2
import pytest
import sqlalchemy as sa

from adapters.connections import Connections
from adapters.mysql.tables.orders import orders
from adapters.mysql.tables.shared import idempotency_keys
from adapters.mysql.tables.stock import stock
from tests.fixture_types import Customer, Json, MakeCustomer, MakeProduct

ADDRESS = {"name": "Ada Lovelace", "line1": "Lindenweg 1", "city": "Berlin", "postal_code": "10117", "country": "DE"}


class Fill(Protocol):
    """Puts one product into a customer's cart, answers the body that checks it out."""

    def __call__(self, customer: Customer, sku: str, quantity: int = 1, **change: object) -> Json: ...


@pytest.fixture
def fill(api: httpx2.Client) -> Fill:
    def fill(customer: Customer, sku: str, quantity: int = 1, **change: object) -> Json:
        cart = api.put(f"/v1/cart/items/{sku}", json={"quantity": quantity}, headers=customer.headers).json()
        body = {"cart_version": cart["version"], "shipping_address": ADDRESS, "payment_method": "pm_card_visa"}
        return body | change

    return fill


def check_out(api: httpx2.Client, customer: Customer, body: Json, key: str | None = None) -> httpx2.Response:
    headers = customer.headers | {"Idempotency-Key": key or uuid.uuid4().hex}
    return api.post("/v1/checkouts", json=body, headers=headers)


def orders_of(connections: Connections, customer: Customer) -> int:
    query = sa.select(sa.func.count()).select_from(orders).where(orders.c.customer_id == customer.id)
    with connections.engine.connect() as connection:
        return connection.scalar(query) or 0


def forget_answer(connections: Connections, key: str) -> None:
    """As if the API had died between the order's first answer and writing it down."""
    with connections.engine.begin() as connection:
        connection.execute(
            idempotency_keys.update()
            .where(idempotency_keys.c.idempotency_key == key)
            .values(status_code=None, response=None, locked_until=None)
        )


def test_an_order_is_placed_and_can_be_read(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, fill: Fill
) -> None:
    sku = make_product(price=1000)
    placed = check_out(api, customer, fill(customer, sku, 2))
    assert placed.status_code == 201, placed.text
    order = placed.json()
    assert placed.headers["location"] == f"/v1/orders/{order['id']}"
    assert order["payment_status"] == "authorized"
    assert [(line["sku"], line["quantity"]) for line in order["lines"]] == [(sku, 2)]
    read = api.get(placed.headers["location"], headers=customer.headers)
    assert (read.status_code, read.json()["total"]) == (200, order["total"])


def test_a_repeat_gets_the_same_answer_and_no_second_order(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, fill: Fill, connections: Connections
) -> None:
    body, key = fill(customer, make_product()), uuid.uuid4().hex
    first, again = check_out(api, customer, body, key), check_out(api, customer, body, f'"{key}"')
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert orders_of(connections, customer) == 1


def test_many_at_once_with_one_key_make_one_order(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, fill: Fill, connections: Connections
) -> None:
    body, key = fill(customer, make_product()), uuid.uuid4().hex
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: check_out(api, customer, body, key), range(6)))
    assert orders_of(connections, customer) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {a.json()["code"] for a in answers if a.status_code == 409} <= {"request_in_progress"}
    assert len({a.json()["id"] for a in answers if a.status_code == 201}) == 1


def test_two_keys_for_one_version_of_a_cart_make_one_order(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, fill: Fill, connections: Connections
) -> None:
    body = fill(customer, make_product(stock=50))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: check_out(api, customer, body), range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {answer.json().get("code") for answer in answers} == {None, "cart_changed"}
    assert orders_of(connections, customer) == 1


def test_the_key_of_another_request_is_refused(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, fill: Fill, connections: Connections
) -> None:
    body, key = fill(customer, make_product()), uuid.uuid4().hex
    check_out(api, customer, body, key)
    answer = check_out(api, customer, body | {"shipping_method": "express"}, key)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert orders_of(connections, customer) == 1


@pytest.mark.parametrize("key", [b"", b'""', b"x" * 256, "ключ".encode()])
def test_a_key_that_is_none_is_refused(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, fill: Fill, key: bytes
) -> None:
    headers = {name.encode(): value.encode() for name, value in customer.headers.items()} | {b"Idempotency-Key": key}
    answer = api.post("/v1/checkouts", json=fill(customer, make_product()), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")


def test_without_a_key_nothing_is_ordered(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, fill: Fill, connections: Connections
) -> None:
    answer = api.post("/v1/checkouts", json=fill(customer, make_product()), headers=customer.headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")
    assert orders_of(connections, customer) == 0


def test_an_answer_lost_by_a_dying_api_is_given_by_the_next(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, fill: Fill, connections: Connections
) -> None:
    body, key = fill(customer, make_product()), uuid.uuid4().hex
    first = check_out(api, customer, body, key)
    forget_answer(connections, key)
    again = check_out(api, customer, body, key)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert orders_of(connections, customer) == 1


def test_a_declined_card_is_a_402_each_time_and_keeps_the_stock_for_another(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, fill: Fill, connections: Connections
) -> None:
    sku, key = make_product(stock=3), uuid.uuid4().hex
    body = fill(customer, sku, payment_method="pm_card_visa_chargeDeclined")
    first = check_out(api, customer, body, key)
    assert (first.status_code, first.json()["code"]) == (402, "payment_declined")
    assert {"decline_code", "retry_until", "order_id"} <= first.json().keys()
    forget_answer(connections, key)
    assert check_out(api, customer, body, key).json() == first.json()
    with connections.engine.connect() as connection:
        assert connection.scalar(sa.select(stock.c.reserved).where(stock.c.sku == sku)) == 1
    cart = api.get("/v1/cart", headers=customer.headers).json()
    assert [line["sku"] for line in cart["items"]] == [sku], "the cart is there to try again with another card"


def test_of_two_buyers_of_the_last_unit_one_gets_it(
    api: httpx2.Client, make_customer: MakeCustomer, make_product: MakeProduct, fill: Fill, connections: Connections
) -> None:
    sku = make_product(stock=1)
    buyers = [make_customer(), make_customer()]
    bodies = [fill(buyer, sku) for buyer in buyers]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda pair: check_out(api, *pair), zip(buyers, bodies, strict=True)))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    refusal = next(answer.json() for answer in answers if answer.status_code == 409)
    assert refusal["code"] == "out_of_stock"
    assert refusal["lines"] == [{"sku": sku, "wanted": 1, "available": 0}]


def test_a_cart_that_has_changed_is_shown_and_not_ordered(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, fill: Fill, connections: Connections
) -> None:
    body = fill(customer, make_product())
    current = api.put(f"/v1/cart/items/{make_product()}", json={"quantity": 1}, headers=customer.headers).json()
    answer = check_out(api, customer, body)
    assert (answer.status_code, answer.json()["code"]) == (409, "cart_changed")
    assert answer.json()["cart"] == current
    assert orders_of(connections, customer) == 0


def test_an_empty_cart_is_not_ordered(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, fill: Fill
) -> None:
    body = fill(customer, make_product())
    version = api.delete("/v1/cart", headers=customer.headers).json()["version"]
    answer = check_out(api, customer, body | {"cart_version": version})
    assert (answer.status_code, answer.json()["code"]) == (422, "empty_cart")


def test_a_product_taken_off_sale_is_not_ordered(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, fill: Fill
) -> None:
    sku = make_product()
    body = fill(customer, sku)
    make_product(sku=sku, stock=0, active=False)
    answer = check_out(api, customer, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_product")
    assert answer.json()["skus"] == [sku]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"cart_version": 0}, 422),
        ({"cart_version": "1"}, 422),
        ({"payment_method": "4242424242424242"}, 422),
        ({"shipping_address": ADDRESS | {"country": "Germany"}}, 422),
        ({"shipping_address": {}}, 422),
        ({"shipping_method": "drone"}, 422),
        ({"total": 1}, 422),
        ({"prices": {}}, 422),
        ({"customer_id": "somebody else"}, 422),
        ({"currency": "XXX"}, 422),
        ({"currency": "eur"}, 422),
        ({"discount_code": "NO-SUCH-CODE"}, 422),
        ({"discount_code": "ЅPRING"}, 422),
        ({"discount_code": "ＳＰＲＩＮＧ"}, 422),
        ({"discount_code": "SPRING\u200b"}, 422),
        ({"discount_code": "x' OR '1'='1"}, 422),
        ({"quote": "eyJ9.made-up"}, 422),
        ({"payment_return_url": "javascript:alert(1)"}, 422),
    ],
    ids=str,
)
def test_a_checkout_that_makes_no_sense_is_refused(
    api: httpx2.Client,
    customer: Customer,
    make_product: MakeProduct,
    fill: Fill,
    connections: Connections,
    change: dict[str, object],
    status: int,
) -> None:
    answer = check_out(api, customer, fill(customer, make_product()) | change)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert orders_of(connections, customer) == 0


def test_who_is_not_signed_in_orders_nothing(api: httpx2.Client) -> None:
    answer = api.post("/v1/checkouts", json={}, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 401
