"""Staff refund parcels that were lost or returned, over HTTP."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from dev.testbed import Testbed
from schemas.users import Role
from tests.buyer import ADDRESS, Buyer
from tests.fixture_types import Headers, Json, MakeCustomer, MakeProduct, MakeStaff

Resolve = Callable[..., httpx2.Response]
Advance = Callable[..., None]
REFUND = {"action": "refund", "reason": "the carrier has given up"}
SHIP_AGAIN = {"action": "ship_again", "reason": "the carrier has given up"}


@pytest.fixture
def resolve(api: httpx2.Client, staff: Headers) -> Resolve:
    def post(order_id: str, key: str | None = None, parcel: int = 1, **body: object) -> httpx2.Response:
        headers = staff | {"Idempotency-Key": key or uuid.uuid4().hex}
        path = f"/v1/ops/orders/{order_id}/parcels/{parcel}/resolution"
        return api.post(path, json={**REFUND, **body}, headers=headers)

    return post


@pytest.fixture
def advance(bed: Testbed) -> Advance:
    carrier = bed.url("CARRIER_SIMULATOR_PORT")

    def move(order_id: str, status: str, parcel: int = 1) -> None:
        (shipment,) = httpx2.get(f"{carrier}/_ledger", params={"reference": f"{order_id}-{parcel}"}).json()["data"]
        address = f"{carrier}/_control/shipments/{shipment['id']}/advance"
        httpx2.post(address, json={"to": status}).raise_for_status()

    return move


@pytest.fixture
def booked(buyer: Buyer, make_product: MakeProduct) -> str:
    """An order whose parcel waits at the carrier."""
    waiting = ADDRESS | {"postal_code": WAITING_POSTAL_CODE}
    order_id: str = buyer.check_out(buyer.fill(make_product()), shipping_address=waiting).json()["id"]
    buyer.until_event(order_id, "parcel.booked")
    return order_id


def end(order_id: str, status: str, buyer: Buyer, advance: Advance) -> None:
    """The parcel is dispatched, captured, and comes to this end."""
    advance(order_id, "dispatched")
    buyer.until_event(order_id, "payment.captured")
    advance(order_id, status)
    buyer.until(order_id, "failed")


def tasks(api: httpx2.Client, staff: Headers, order_id: str, wanted: int) -> list[Json]:
    """Its failed deliveries, once there are as many as wanted: they are written beside the parcel's own steps."""
    deadline = time.monotonic() + 60
    while True:
        found = api.get("/v1/ops/tasks", params={"code": "delivery_failed", "limit": 100}, headers=staff).json()
        mine = [task for task in found["items"] if task["order_id"] == order_id]
        if len(mine) == wanted:
            return mine
        assert time.monotonic() < deadline, mine
        time.sleep(0.1)


def test_a_lost_parcel_is_refunded_by_the_route_that_its_task_names(
    *, api: httpx2.Client, staff: Headers, buyer: Buyer, booked: str, advance: Advance, resolve: Resolve
) -> None:
    early = resolve(booked)
    assert (early.status_code, early.json()["code"], early.json()["current"]) == (409, "illegal_move", "booked")
    end(booked, "lost", buyer, advance)
    (task,) = tasks(api, staff, booked, 1)
    assert (task["parcel"], task["resolvable"], task["since"] < task["until"]) == (1, True, True)
    method, _, path = task["route"].partition(" ")
    key = {"Idempotency-Key": uuid.uuid4().hex}
    came_back = api.request(method, path, json=REFUND | {"restock": True}, headers=staff | key)
    assert (came_back.status_code, came_back.json()["code"]) == (422, "invalid_request")
    assert came_back.json()["errors"][0]["pointer"] == "body/restock"
    key = {"Idempotency-Key": uuid.uuid4().hex}
    answer = api.request(method, path, json=REFUND, headers=staff | key)
    assert answer.status_code == 200, answer.text
    order = answer.json()
    assert (order["status"], order["payment_status"]) == ("failed", "refunded")
    shown = order["parcels"][0]["resolution"]
    assert (shown["action"], shown["amount"], shown["restocked"]) == ("refund", order["total"], False)
    assert api.request(method, path, json=REFUND, headers=staff | key).json() == order
    listed = api.get(f"/v1/ops/orders/{booked}/refunds", headers=staff).json()["items"]
    assert [(one["id"], one["parcel"], one["amount"]) for one in listed] == [(shown["refund_id"], 1, order["total"])]
    assert tasks(api, staff, booked, 0) == []
    assert "given up" not in str(buyer.order(booked))
    other = resolve(booked, restock=True)
    assert (other.status_code, other.json()["code"]) == (409, "parcel_resolved")


def test_a_returned_parcel_is_refunded_once_by_ten_at_once(
    buyer: Buyer, booked: str, advance: Advance, resolve: Resolve
) -> None:
    end(booked, "returned", buyer, advance)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: resolve(booked, restock=True), range(10)))
    assert {answer.status_code for answer in answers} <= {200, 202}, [answer.text for answer in answers]
    deadline = time.monotonic() + 60
    while buyer.order(booked)["parcels"][0]["resolution"]["resolved_at"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert buyer.effects(booked).count("refund") == 1
    assert buyer.order(booked)["parcels"][0]["resolution"]["restocked"] is True


def test_a_lost_parcel_is_shipped_again_by_the_same_route(
    *, api: httpx2.Client, staff: Headers, buyer: Buyer, booked: str, advance: Advance, resolve: Resolve
) -> None:
    assert resolve(booked, **SHIP_AGAIN).json()["code"] == "illegal_move"
    end(booked, "lost", buyer, advance)
    assert len(tasks(api, staff, booked, 1)) == 1
    key = uuid.uuid4().hex
    answer = resolve(booked, key, **SHIP_AGAIN)
    assert answer.status_code == 200, answer.text
    old, new = answer.json()["parcels"]
    assert (old["status"], old["replaces"], new["replaces"], new["lines"]) == ("lost", None, 1, old["lines"])
    assert (old["resolution"]["action"], old["resolution"]["replacement"]) == ("ship_again", 2)
    assert tasks(api, staff, booked, 0) == []
    assert resolve(booked, key, **SHIP_AGAIN).json() == answer.json()
    assert [parcel["number"] for parcel in resolve(booked, **SHIP_AGAIN).json()["parcels"]] == [1, 2]
    refused = resolve(booked)
    assert (refused.status_code, refused.json()["code"]) == (409, "parcel_resolved")
    assert (refused.json()["action"], refused.json()["restocked"]) == ("ship_again", False)
    deadline = time.monotonic() + 60
    while buyer.order(booked)["parcels"][1]["status"] != "booked":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    advance(booked, "delivered", 2)
    order = buyer.until(booked, "delivered")
    assert (order["fulfilment_status"], order["payment_status"]) == ("delivered", "captured")
    assert order["failure_code"] is None
    assert buyer.effects(booked).count("capture") == 1
    assert "given up" not in str(order)


def test_what_no_warehouse_has_is_not_shipped_again(
    *, buyer: Buyer, make_product: MakeProduct, advance: Advance, resolve: Resolve
) -> None:
    waiting, sku = ADDRESS | {"postal_code": WAITING_POSTAL_CODE}, make_product(stock=1)
    order_id: str = buyer.check_out(buyer.fill(sku), shipping_address=waiting).json()["id"]
    buyer.until_event(order_id, "parcel.booked")
    end(order_id, "returned", buyer, advance)
    refused = resolve(order_id, **SHIP_AGAIN)
    assert (refused.status_code, refused.json()["code"]) == (409, "insufficient_stock")
    assert refused.json()["lines"] == [{"sku": sku, "wanted": 1, "available": 0}]
    assert buyer.order(order_id)["parcels"][0]["resolution"] is None
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: resolve(order_id, restock=True, **SHIP_AGAIN), range(5)))
    assert {answer.status_code for answer in answers} <= {200, 202}, [answer.text for answer in answers]
    assert [parcel["replaces"] for parcel in buyer.order(order_id)["parcels"]] == [None, 1]


@pytest.mark.parametrize(
    "body",
    [{"action": "send_twice"}, {"reason": ""}, {"restock": "perhaps"}, {"amount": 500}],
    ids=["unknown action", "no reason", "no boolean", "unknown field"],
)
def test_what_makes_no_sense_is_refused(booked: str, resolve: Resolve, body: Json) -> None:
    answer = resolve(booked, **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_a_parcel_or_an_order_that_is_nowhere(booked: str, resolve: Resolve) -> None:
    for answer in (resolve(booked, parcel=2), resolve(str(uuid.uuid4()))):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert resolve(booked, parcel=0).status_code == 422


def test_only_who_may_refund_may_resolve(
    api: httpx2.Client, booked: str, buyer: Buyer, make_staff: MakeStaff, make_customer: MakeCustomer
) -> None:
    path = f"/v1/ops/orders/{booked}/parcels/1/resolution"
    assert api.post(path, json=REFUND).status_code == 401
    for headers in (buyer.headers, make_customer().headers, make_staff(Role.WAREHOUSE), make_staff(Role.CATALOG)):
        answer = api.post(path, json=REFUND, headers=headers | {"Idempotency-Key": uuid.uuid4().hex})
        assert answer.status_code == 403, answer.text
    without_key = api.post(path, json=REFUND, headers=make_staff(Role.ADMIN))
    assert (without_key.status_code, without_key.json()["code"]) == (400, "idempotency_key_required")
