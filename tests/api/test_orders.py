"""Orders are their owner's: read whole, listed newest first, invisible to everybody else."""

import uuid

import httpx2
import pytest

from adapters.connections import Connections
from adapters.mysql.idempotency import IdempotencyKeys
from adapters.mysql.tables.identity import user_roles
from tests.fixture_types import Customer, MakeCustomer, PlaceOrder

ADDRESS = {"name": "Ada Lovelace", "line1": "Lindenweg 1", "city": "Berlin", "postal_code": "10117", "country": "DE"}


def test_another_customers_order_is_no_order(
    api: httpx2.Client, make_customer: MakeCustomer, place_order: PlaceOrder
) -> None:
    order, stranger = place_order(make_customer()), make_customer()
    for method, path in (("GET", ""), ("GET", "/history"), ("POST", "/cancel")):
        answer = api.request(method, f"/v1/orders/{order['id']}{path}", headers=stranger.headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert api.get("/v1/orders", headers=stranger.headers).json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("order_id", ["1", "x" * 500, "ü", "01999999-0000-7000-8000-000000000000", "%27"])
def test_an_order_nobody_placed_is_not_found(api: httpx2.Client, customer: Customer, order_id: str) -> None:
    answer = api.get(f"/v1/orders/{order_id}", headers=customer.headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_support_reads_every_order(
    api: httpx2.Client, make_customer: MakeCustomer, place_order: PlaceOrder, connections: Connections
) -> None:
    order, supporter = place_order(make_customer()), make_customer()
    with connections.engine.begin() as connection:
        connection.execute(user_roles.insert().values(user_id=supporter.id, role="support"))
    assert api.get(f"/v1/orders/{order['id']}", headers=supporter.headers).status_code == 200


def test_orders_are_listed_newest_first_page_by_page(
    api: httpx2.Client, customer: Customer, place_order: PlaceOrder
) -> None:
    placed = [place_order(customer)["id"] for _ in range(3)]
    first = api.get("/v1/orders", params={"limit": 2}, headers=customer.headers).json()
    rest = api.get("/v1/orders", params={"cursor": first["next_cursor"]}, headers=customer.headers).json()
    assert [order["id"] for order in [*first["items"], *rest["items"]]] == placed[::-1]
    assert rest["next_cursor"] is None


def test_the_history_has_no_gaps_and_pages(api: httpx2.Client, customer: Customer, place_order: PlaceOrder) -> None:
    path = f"/v1/orders/{place_order(customer)['id']}/history"
    first = api.get(path, params={"limit": 2}, headers=customer.headers).json()
    rest = api.get(path, params={"cursor": first["next_cursor"]}, headers=customer.headers).json()
    sequence = [event["seq"] for event in [*first["items"], *rest["items"]]]
    assert sequence == list(range(1, len(sequence) + 1))
    assert first["items"][0]["type"] == "order.placed"


def test_an_order_past_its_point_of_no_return_says_so(
    api: httpx2.Client, customer: Customer, place_order: PlaceOrder
) -> None:
    path = f"/v1/orders/{place_order(customer)['id']}"
    answer = api.post(f"{path}/cancel", json={"reason": "too big"}, headers=customer.headers)
    if answer.status_code != 200:  # the parcels may or may not have been handed over by now
        assert (answer.status_code, answer.json()["code"]) == (409, "too_late")
    else:
        assert answer.json()["status"] == "cancelled"


def test_an_order_that_never_began_is_not_waited_for(
    api: httpx2.Client, customer: Customer, connections: Connections
) -> None:
    order_id = str(uuid.uuid4())
    IdempotencyKeys(connections.engine).begin(
        f"user:{customer.id}", "POST /v1/checkouts", uuid.uuid4().hex, "f" * 64, order_id
    )
    assert api.get(f"/v1/orders/{order_id}", headers=customer.headers).status_code == 404
    answer = api.get(f"/v1/orders/{order_id}/history", headers=customer.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "order_pending")
