"""Staff find an order by whatever a caller knows, see first what is stuck, and find nothing of who has left."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

import httpx2
import pytest
import sqlalchemy as sa
import uuid_utils

from adapters.connections import Connections
from adapters.mysql.clock import now
from adapters.mysql.tables.orders import orders
from adapters.search.feeds import Feed, order_feed
from tests.api.conftest import QueryValue
from tests.fixture_types import PASSWORD, Customer, Headers, Json, MakeCustomer, MakeProduct


class Find(Protocol):
    """The ids of the orders that a search by staff finds."""

    def __call__(self, **query: QueryValue) -> list[str]: ...


class Place(Protocol):
    """Orders one unit of a new product; answers the order with its `sku`."""

    def __call__(self, customer: Customer, name: str = "Kite", city: str = "Berlin") -> Json: ...


@pytest.fixture(scope="module")
def feed(connections: Connections) -> Feed:
    return order_feed(connections.engine, connections.elasticsearch, connections.settings.name_prefix)


@pytest.fixture
def find(api: httpx2.Client, staff: Headers) -> Find:
    def find(**query: QueryValue) -> list[str]:
        answer = api.get("/v1/ops/orders", params=query, headers=staff)
        assert answer.status_code == 200, answer.text
        return [order["id"] for order in answer.json()["items"]]

    return find


@pytest.fixture(scope="module")
def place(api: httpx2.Client, make_product: MakeProduct) -> Place:
    def place(customer: Customer, name: str = "Kite", city: str = "Berlin") -> Json:
        sku = make_product(name=name)
        cart = api.put(f"/v1/cart/items/{sku}", json={"quantity": 1}, headers=customer.headers).json()
        address = {"name": "Ada", "line1": "Weg 1", "city": city, "postal_code": "10117", "country": "DE"}
        body = {"cart_version": cart["version"], "shipping_address": address, "payment_method": "pm_card_visa"}
        headers = customer.headers | {"Idempotency-Key": uuid_utils.uuid7().hex}
        answer = api.post("/v1/checkouts", json=body, headers=headers)
        assert answer.status_code in (201, 202), answer.text
        order_id, deadline = answer.json()["id"], time.monotonic() + 60
        # A busy machine answers that it is still working.
        while (seen := api.get(f"/v1/orders/{order_id}", headers=customer.headers)).status_code != 200:
            assert time.monotonic() < deadline, seen.text
            time.sleep(0.2)
        return {**seen.json(), "sku": sku}

    return place


def until(find: Find, wanted: Callable[[list[str]], bool], seconds: float = 20, **query: QueryValue) -> list[str]:
    deadline = time.monotonic() + seconds
    while not wanted(seen := find(**query)):
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)
    return seen


def move(connections: Connections, feed: Feed, order_id: str, **values: object) -> None:
    """Put an order where it would be after a long time."""
    with connections.engine.begin() as connection:
        connection.execute(sa.update(orders).where(orders.c.id == order_id).values(**values))
    feed.update([order_id])
    feed.index.refresh(feed.index.alias)


def test_an_order_is_found_by_what_a_caller_knows_of_it(
    find: Find, place: Place, make_customer: MakeCustomer, connections: Connections
) -> None:
    word = f"zq{uuid_utils.uuid7().hex[-8:]}"
    customer = make_customer()
    order = place(customer, name=f"Kites {word}", city=f"Saint-{word}")
    until(find, lambda seen: seen == [order["id"]], q=f"{word}")
    for q in (
        str(order["number"]), f"#{order['number']}", order["id"], order["id"].upper(), customer.email,
        customer.email.upper(),
        customer.email[:-4], order["sku"], order["sku"].lower(), f"kite {word[:6]}", f"saint {word}", f"10117 {word}",
    ):  # fmt: skip
        assert order["id"] in find(q=q), q
    assert find(number=order["number"]) == [order["id"]]
    assert find(email=customer.email) == find(sku=order["sku"]) == [order["id"]]
    assert find(q=word, status="failed") == []
    assert find(q="Unter keinen Umständen") == []


def test_what_is_shown_is_what_the_database_has(
    api: httpx2.Client, staff: Headers, find: Find, place: Place, make_customer: MakeCustomer
) -> None:
    order = place(make_customer())
    until(find, lambda seen: seen == [order["id"]], number=order["number"])
    (shown,) = api.get("/v1/ops/orders", params={"number": order["number"]}, headers=staff).json()["items"]
    page = api.get(f"/v1/orders/{order['id']}", headers=staff).json()
    assert {name: shown[name] for name in ("number", "total", "email", "created_at")} == {
        name: page[name] for name in ("number", "total", "email", "created_at")
    }
    assert shown["stuck"] is False


def test_the_stuck_come_first_and_pages_follow_each_other(
    api: httpx2.Client,
    staff: Headers,
    find: Find,
    place: Place,
    make_customer: MakeCustomer,
    feed: Feed,
    connections: Connections,
) -> None:
    customer = make_customer()
    placed = [place(customer)["id"] for _ in range(4)]
    deadline = time.monotonic() + 60
    while any(
        order["status"] != "delivered" for order in api.get("/v1/orders", headers=customer.headers).json()["items"]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    long_ago = now() - timedelta(days=3)
    move(connections, feed, placed[0], status="compensation_blocked")
    move(connections, feed, placed[1], status="processing", updated_at=long_ago)
    move(connections, feed, placed[2], updated_at=long_ago)  # delivered long ago: nothing is left to do
    expected = [placed[0], placed[1], placed[3], placed[2]]
    assert find(email=customer.email) == expected
    assert find(email=customer.email, stuck=True) == expected[:2]
    assert find(email=customer.email, status="delivered") == expected[2:]
    assert find(email=customer.email, status="processing") == [placed[1]]
    assert find(email=customer.email, stuck=False) == expected[2:]
    seen, cursor = [], None
    for _ in range(4):
        query: dict[str, QueryValue] = {"email": customer.email, "limit": 1, **({"cursor": cursor} if cursor else {})}
        page = api.get("/v1/ops/orders", params=query, headers=staff).json()
        seen += [(order["id"], order["stuck"]) for order in page["items"]]
        cursor = page["next_cursor"]
    assert (seen, cursor) == (list(zip(expected, (True, True, False, False), strict=True)), None)


def test_a_cursor_of_another_search_is_refused(
    api: httpx2.Client, staff: Headers, find: Find, place: Place, make_customer: MakeCustomer
) -> None:
    customer = make_customer()
    for _ in range(2):
        place(customer)
    until(find, lambda seen: len(seen) == 2, q=customer.email)
    cursor = api.get("/v1/ops/orders", params={"q": customer.email, "limit": 1}, headers=staff).json()["next_cursor"]
    for query in ({"q": "other", "cursor": cursor}, {"q": customer.email, "cursor": "nonsense"}, {"cursor": "e30"}):
        answer = api.get("/v1/ops/orders", params=query, headers=staff)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("typed", ['"', "*", "\\", "a" * 200, "🚚", "AND (", "\x00", "9" * 200, "#", "@", "a@", "-1"])
def test_no_sign_breaks_the_search(find: Find, typed: str) -> None:
    find(q=typed)


def test_only_staff_may_search(api: httpx2.Client, customer: Customer) -> None:
    assert api.get("/v1/ops/orders").status_code == 401
    assert api.get("/v1/ops/orders", headers=customer.headers).status_code == 403


def test_of_who_has_closed_the_account_the_index_keeps_no_person(
    api: httpx2.Client, find: Find, place: Place, make_customer: MakeCustomer, feed: Feed, connections: Connections
) -> None:
    customer = make_customer()
    order = place(customer, city=f"zq{uuid_utils.uuid7().hex[-8:]}")
    until(find, lambda seen: seen == [order["id"]], email=customer.email)
    closed = api.request("DELETE", "/v1/users/me", json={"password": PASSWORD}, headers=customer.headers)
    assert closed.status_code == 204, closed.text
    until(find, lambda seen: seen == [], email=customer.email, seconds=40)
    assert find(q=customer.email) == []
    assert find(number=order["number"]) == [order["id"]]
    (indexed,) = feed.index.documents([order["id"]]).values()
    assert indexed.source["email"] is indexed.source["postal_code"] is None
    assert "10117" not in indexed.source["words"]


def test_the_index_of_orders_is_as_the_database(
    feed: Feed, find: Find, place: Place, make_customer: MakeCustomer
) -> None:
    customer = make_customer()
    orders = [place(customer) for _ in range(3)]
    until(find, lambda seen: seen == [orders[-1]["id"]], number=orders[-1]["number"])
    ours = {order["id"] for order in orders}
    deadline = time.monotonic() + 30
    # Of these alone: other tests write orders whose events nobody is there to publish.
    while differing := ours & set(feed.differing()):
        assert time.monotonic() < deadline, differing
        time.sleep(0.3)
