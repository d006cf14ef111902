"""Stock over HTTP: levels, ledger, movements that are posted once, rules, and what staff may do with them."""

import time
import uuid
from collections.abc import Callable

import httpx2
import pytest
import uuid_utils

from adapters.connections import Connections
from adapters.mysql.identity.users import Accounts
from adapters.mysql.orders.stock import Stock
from schemas.users import Role
from tests.api.test_permissions import sign_in
from tests.fixture_types import Customer, Headers, Json, MakeCustomer, MakeProduct, PlaceOrder

Post = Callable[..., httpx2.Response]
HeadersOf = dict[str, Headers]


@pytest.fixture(scope="module")
def headers_of(api: httpx2.Client, make_customer: MakeCustomer, connections: Connections) -> HeadersOf:
    """The headers of somebody with each of these roles."""
    found = {}
    for role in (Role.WAREHOUSE, Role.SUPPORT, Role.CUSTOMER):
        account = make_customer()
        Accounts(connections.engine).set_roles(account.id, [role])
        found[role.value] = sign_in(api, account.email)
    return found


@pytest.fixture
def post(api: httpx2.Client, headers_of: HeadersOf) -> Post:
    """Post a movement as the warehouse does."""

    def post(sku: str, key: str | None = None, role: str = "warehouse", **body: object) -> httpx2.Response:
        headers = headers_of[role] | {"Idempotency-Key": key or uuid.uuid4().hex}
        wanted = {"kind": "received", "warehouse": "BER", "quantity": 1} | body
        return api.post(f"/v1/stock/{sku}/movements", json=wanted, headers=headers)

    return post


def test_a_delivery_is_in_stock_and_in_the_ledger(
    api: httpx2.Client, headers_of: HeadersOf, make_product: MakeProduct, post: Post
) -> None:
    sku = make_product(stock={"BER": 3, "AMS": 2})
    answer = post(sku, quantity=40, reason="delivery note 4711")
    assert answer.status_code == 201, answer.text
    movement = answer.json()
    assert (movement["kind"], movement["quantity"], movement["reason"]) == ("received", 40, "delivery note 4711")
    assert movement["actor"].startswith("staff:")
    assert movement["actor"].endswith(":warehouse")

    found = api.get(f"/v1/stock/{sku}", headers=headers_of["support"]).json()
    assert {one["warehouse"]: one["on_hand"] for one in found["items"]} == {"AMS": 2, "BER": 43}
    assert found["totals"] == {"on_hand": 45, "reserved": 0, "available": 45, "backordered": 0}
    assert found["rules"] == {"backorderable": False, "low_stock_at": 0}

    path = f"/v1/stock/{sku}/movements"
    first = api.get(path, params={"limit": 2}, headers=headers_of["support"]).json()
    rest = api.get(path, params={"cursor": first["next_cursor"]}, headers=headers_of["support"]).json()
    assert first["items"][0] == movement
    assert sorted(one["quantity"] for one in [*first["items"], *rest["items"]]) == [2, 3, 40]
    assert rest["next_cursor"] is None


def test_a_repeat_moves_nothing_and_another_body_is_refused(
    post: Post, make_product: MakeProduct, api: httpx2.Client, headers_of: HeadersOf
) -> None:
    sku, key = make_product(stock=1), uuid.uuid4().hex
    first, again = post(sku, key, quantity=5), post(sku, key, quantity=5)
    assert (again.status_code, again.json()) == (201, first.json())
    other = post(sku, key, quantity=6)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert api.get(f"/v1/stock/{sku}", headers=headers_of["support"]).json()["totals"]["on_hand"] == 6


def test_the_key_of_another_person_is_another_key(
    post: Post,
    make_product: MakeProduct,
    api: httpx2.Client,
    make_customer: MakeCustomer,
    connections: Connections,
    headers_of: HeadersOf,
) -> None:
    sku, key = make_product(stock=1), uuid.uuid4().hex
    post(sku, key, quantity=5)
    colleague = make_customer()
    Accounts(connections.engine).set_roles(colleague.id, [Role.WAREHOUSE])
    headers = sign_in(api, colleague.email) | {"Idempotency-Key": key}
    body = {"kind": "received", "warehouse": "BER", "quantity": 5}
    assert api.post(f"/v1/stock/{sku}/movements", json=body, headers=headers).status_code == 201
    assert api.get(f"/v1/stock/{sku}", headers=headers_of["support"]).json()["totals"]["on_hand"] == 11


def test_without_a_key_nothing_moves(api: httpx2.Client, headers_of: HeadersOf, make_product: MakeProduct) -> None:
    body = {"kind": "received", "warehouse": "BER", "quantity": 5}
    answer = api.post(f"/v1/stock/{make_product()}/movements", json=body, headers=headers_of["warehouse"])
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"quantity": 0}, "quantity"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": 10**9}, "quantity"),
        ({"quantity": 10**30}, "quantity"),
        ({"quantity": 1.5}, "quantity"),
        ({"quantity": "1"}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"kind": "adjusted", "quantity": 0, "reason": "count"}, "quantity"),
        ({"kind": "adjusted", "quantity": -(10**9), "reason": "count"}, "quantity"),
        ({"kind": "adjusted", "quantity": -1}, "reason"),
        ({"kind": "adjusted", "quantity": -1, "reason": "   "}, "reason"),
        ({"kind": "shipped"}, "kind"),
        ({"kind": "reserved"}, "kind"),
        ({"warehouse": "MOON"}, "warehouse"),
        ({"warehouse": "ü"}, "warehouse"),
        ({"kind": "restocked"}, "order_id"),
        ({"kind": "restocked", "order_id": "7"}, "order_id"),
        ({"kind": "restocked", "order_id": "01999999-0000-7000-8000-000000000000"}, "order_id"),
        ({"order_id": "01999999-0000-7000-8000-000000000000"}, "order_id"),
        ({"actor": "somebody else"}, "actor"),
    ],
    ids=str,
)
def test_a_movement_that_makes_no_sense_names_its_field(
    post: Post, make_product: MakeProduct, connections: Connections, body: Json, field: str
) -> None:
    sku = make_product(stock=3)
    answer = post(sku, **body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert f"body/{field}" in {one["pointer"] for one in answer.json()["errors"]}
    assert [level.on_hand for level in Stock(connections.engine).levels(sku)] == [3]


@pytest.mark.parametrize("sku", ["NO-SUCH-SKU", "ü", "x" * 300])
def test_an_unknown_sku_is_not_found(api: httpx2.Client, headers_of: HeadersOf, post: Post, sku: str) -> None:
    answers = [
        post(sku),
        api.get(f"/v1/stock/{sku}", headers=headers_of["warehouse"]),
        api.get(f"/v1/stock/{sku}/movements", headers=headers_of["warehouse"]),
        api.patch(f"/v1/stock/{sku}", json={"backorderable": True}, headers=headers_of["warehouse"]),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert answer.json()["errors"] == [{"pointer": "path/sku", "code": "unknown_sku"}]


def test_what_is_promised_is_not_counted_away(
    api: httpx2.Client, post: Post, make_product: MakeProduct, make_customer: MakeCustomer, place_order: PlaceOrder
) -> None:
    order = place_order(make_customer())
    sku = order["lines"][0]["sku"]
    answer = post(sku, kind="adjusted", quantity=-(10**6), reason="all gone")
    assert (answer.status_code, answer.json()["code"]) == (409, "below_reserved")
    assert {"on_hand", "reserved"} <= answer.json().keys()


def test_only_what_an_order_got_comes_back_from_it(
    post: Post, make_product: MakeProduct, make_customer: MakeCustomer, place_order: PlaceOrder
) -> None:
    order = place_order(make_customer())
    foreign = post(make_product(), kind="restocked", order_id=order["id"])
    assert (foreign.status_code, foreign.json()["code"]) == (422, "unknown_reservation")
    much = post(order["lines"][0]["sku"], kind="restocked", quantity=2, order_id=order["id"])
    assert (much.status_code, much.json()["code"]) == (409, "more_than_shipped")


def test_rules_are_changed_one_by_one(api: httpx2.Client, headers_of: HeadersOf, make_product: MakeProduct) -> None:
    path = f"/v1/stock/{make_product(stock=0)}"
    change = headers_of["warehouse"]
    assert api.patch(path, json={"low_stock_at": 7}, headers=change).json()["rules"]["low_stock_at"] == 7
    changed = api.patch(path, json={"backorderable": True}, headers=change)
    assert changed.json()["rules"] == {"backorderable": True, "low_stock_at": 7}
    assert api.patch(path, json={}, headers=change).json() == changed.json()
    assert api.get(path, headers=headers_of["support"]).json() == changed.json()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"low_stock_at": -1}, "body/low_stock_at"),
        ({"low_stock_at": 10**9}, "body/low_stock_at"),
        ({"low_stock_at": None}, "body"),
        ({"backorderable": "yes"}, "body/backorderable"),
        ({"on_hand": 9}, "body/on_hand"),
    ],
    ids=str,
)
def test_rules_that_make_no_sense_name_their_field(
    api: httpx2.Client, headers_of: HeadersOf, make_product: MakeProduct, body: Json, field: str
) -> None:
    answer = api.patch(f"/v1/stock/{make_product()}", json=body, headers=headers_of["warehouse"])
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, field)


def test_warehouses_are_listed_the_preferred_first(api: httpx2.Client, headers_of: HeadersOf) -> None:
    found = api.get("/v1/warehouses", headers=headers_of["support"]).json()
    assert [one["code"] for one in found["items"]] == ["BER", "AMS", "ROT"]


def test_who_may_read_may_not_move(
    api: httpx2.Client, headers_of: HeadersOf, post: Post, make_product: MakeProduct
) -> None:
    sku = make_product()
    assert post(sku, role="support").status_code == 403
    assert api.patch(f"/v1/stock/{sku}", json={}, headers=headers_of["support"]).status_code == 403
    assert api.get(f"/v1/stock/{sku}", headers=headers_of["customer"]).status_code == 403
    assert api.get("/v1/ops/reconciliation", headers=headers_of["warehouse"]).status_code == 403
    assert api.get("/v1/ops/reconciliation", headers=headers_of["support"]).status_code == 200


def test_a_backorder_is_placed_and_dispatched_when_it_arrives(
    api: httpx2.Client, headers_of: HeadersOf, post: Post, make_product: MakeProduct, customer: Customer
) -> None:
    sku = make_product(stock=1)
    api.patch(f"/v1/stock/{sku}", json={"backorderable": True}, headers=headers_of["warehouse"])
    cart = api.put(f"/v1/cart/items/{sku}", json={"quantity": 3}, headers=customer.headers).json()
    assert cart["items"][0]["available"] is True
    address = {"name": "Ada", "line1": "Weg 1", "city": "Berlin", "postal_code": "10117", "country": "DE"}
    body = {"cart_version": cart["version"], "shipping_address": address, "payment_method": "pm_card_visa"}
    headers = customer.headers | {"Idempotency-Key": str(uuid_utils.uuid7())}
    order = api.post("/v1/checkouts", json=body, headers=headers).json()
    assert order["lines"][0]["backordered"] == 2
    assert [[one["backordered"] for one in parcel["lines"]] for parcel in order["parcels"]] == [[0], [2]]
    assert api.get(f"/v1/stock/{sku}", headers=headers_of["support"]).json()["totals"]["backordered"] == 2
    assert post(sku, quantity=2).status_code == 201
    history = f"/v1/orders/{order['id']}/history"
    for _ in range(1200):
        types = [event["type"] for event in api.get(history, headers=customer.headers).json()["items"]]
        if types.count("parcel.booked") == 2:
            break
        time.sleep(0.1)
    assert "order.backorder_allocated" in types
    assert types.count("parcel.booked") == 2
    assert api.get(f"/v1/orders/{order['id']}", headers=customer.headers).json()["lines"][0]["backordered"] == 0
