"""Warehouse staff see what waits for its pick and confirm it, over HTTP."""

import time
import uuid
from typing import Protocol

import httpx2
import pytest

from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from schemas.users import Role
from tests.buyer import ADDRESS, Buyer
from tests.conftest import eventually
from tests.fixture_types import Headers, Json, MakeProduct, MakeStaff

pytestmark = pytest.mark.usefixtures("rotterdam_asks")


@pytest.fixture(scope="module")
def packer(make_staff: MakeStaff) -> Headers:
    """The headers of somebody of the warehouse."""
    return make_staff(Role.WAREHOUSE)


@pytest.fixture
async def order(buyer: Buyer, make_product: MakeProduct, api: httpx2.Client, packer: Headers) -> Json:
    """Three units of one SKU in a parcel that waits for its pick."""
    address = ADDRESS | {"postal_code": WAITING_POSTAL_CODE}
    placed = buyer.check_out(buyer.fill(make_product({"ROT": 9}, price=1000), 3), shipping_address=address)
    assert placed.status_code in (201, 202), placed.text
    order_id = placed.json()["id"]
    key = uuid.uuid4().hex

    def ask() -> str:
        """A pick of something else, refused in another way once the parcel's workflow has started."""
        path = f"/v1/ops/orders/{order_id}/parcels/1/pick"
        body = {"lines": [{"sku": "UNKNOWN", "quantity": 1}]}
        return str(api.post(path, json=body, headers=packer | {"Idempotency-Key": key}).json()["code"])

    await eventually(ask, lambda code: code == "pick_mismatch")
    return buyer.order(order_id)


class Pick(Protocol):
    """Somebody of the warehouse confirms a pick of so many units."""

    def __call__(self, order: Json, quantity: object, key: str | None = None, **changes: object) -> httpx2.Response: ...


@pytest.fixture
def pick(api: httpx2.Client, packer: Headers) -> Pick:
    def post(order: Json, quantity: object, key: str | None = None, **changes: object) -> httpx2.Response:
        line = {"sku": order["lines"][0]["sku"], "quantity": quantity} | changes
        headers = packer | {"Idempotency-Key": key or uuid.uuid4().hex}
        deadline = time.monotonic() + 120
        while True:  # on a busy machine the workers may take longer than one request waits for them
            answer = api.post(f"/v1/ops/orders/{order['id']}/parcels/1/pick", json={"lines": [line]}, headers=headers)
            if answer.status_code not in (202, 503):
                return answer
            assert time.monotonic() < deadline, answer.text

    return post


def listed(api: httpx2.Client, headers: Headers, **query: str | int) -> Json:
    answer = api.get("/v1/ops/picks", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def all_listed(api: httpx2.Client, headers: Headers) -> list[Json]:
    """Page by page."""
    page = listed(api, headers, warehouse="ROT", limit=1)
    items: list[Json] = page["items"]
    while page["next_cursor"] is not None:
        page = listed(api, headers, warehouse="ROT", limit=1, cursor=page["next_cursor"])
        items += page["items"]
    return items


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_what_waits_is_listed_and_picked_once(
    api: httpx2.Client, packer: Headers, buyer: Buyer, order: Json, pick: Pick
) -> None:
    items = all_listed(api, packer)
    numbers = [one["order_number"] for one in items]
    assert numbers == sorted(numbers)
    (own,) = [one for one in items if one["order_id"] == order["id"]]
    (line,) = order["lines"]
    assert own == {
        "order_id": order["id"],
        "order_number": order["number"],
        "parcel": 1,
        "warehouse": "ROT",
        "placed_at": own["placed_at"],
        "lines": [{"sku": line["sku"], "name": line["name"], "quantity": 3}],
    }
    key = uuid.uuid4().hex
    answer = pick(order, 3, key)
    assert (answer.status_code, answer.json()) == (
        200,
        {"lines": [{"sku": line["sku"], "quantity": 3}], "missing": []},
    )
    assert pick(order, 3, key).json() == pick(order, 3).json() == answer.json()
    assert pick(order, 2, key).status_code == 422
    assert code_of(pick(order, 2)) == (409, "already_picked")
    buyer.until_event(order["id"], "parcel.booked")
    assert order["id"] not in {one["order_id"] for one in all_listed(api, packer)}
    history = api.get(f"/v1/orders/{order['id']}/history", headers=buyer.headers).json()["items"]
    (event,) = [one for one in history if one["type"] == "parcel.picked"]
    assert event["actor"].endswith(":warehouse")


def test_a_short_pick_is_not_charged(
    api: httpx2.Client, packer: Headers, buyer: Buyer, order: Json, pick: Pick
) -> None:
    answer = pick(order, 2)
    sku = order["lines"][0]["sku"]
    assert answer.json() == {"lines": [{"sku": sku, "quantity": 2}], "missing": [{"sku": sku, "quantity": 1}]}
    buyer.until_event(order["id"], "order.lines_cancelled")
    buyer.until_event(order["id"], "parcel.booked")
    view = buyer.order(order["id"])
    assert (view["lines"][0]["cancelled"], view["parcels"][0]["lines"][0]["quantity"]) == (1, 2)
    totals = api.get(f"/v1/stock/{sku}", headers=packer).json()["totals"]
    assert (totals["on_hand"], totals["reserved"], totals["available"]) == (8, 2, 6)
    newest = api.get(f"/v1/stock/{sku}/movements", headers=packer).json()["items"][0]
    assert (newest["kind"], newest["quantity"], newest["reason"]) == ("adjusted", -1, "short pick")


def test_nothing_is_there(buyer: Buyer, order: Json, pick: Pick) -> None:
    assert pick(order, 0).status_code == 200
    assert buyer.until(order["id"], "cancelled")["failure_code"] == "cancelled"
    assert sorted(buyer.effects(order["id"])) == ["authorization", "void"]


def test_other_things_than_the_parcel_has(order: Json, pick: Pick) -> None:
    assert code_of(pick(order, 4)) == (409, "pick_mismatch")
    assert code_of(pick(order, 3, sku="UNKNOWN")) == (409, "pick_mismatch")
    for quantity, wrong in ((-1, {}), ("3", {}), (3, {"sku": "?"}), (3, {"shelf": "A1"})):
        assert code_of(pick(order, quantity, **wrong)) == (422, "invalid_request")


def test_a_parcel_that_was_cancelled_meanwhile(buyer: Buyer, order: Json, pick: Pick) -> None:
    buyer.post(f"/v1/orders/{order['id']}/cancel", {})
    buyer.until(order["id"], "cancelled")
    assert code_of(pick(order, 3)) == (409, "parcel_not_waiting")


def test_a_parcel_that_waits_for_no_pick(buyer: Buyer, make_product: MakeProduct, pick: Pick) -> None:
    address = ADDRESS | {"postal_code": WAITING_POSTAL_CODE}
    order = buyer.check_out(buyer.fill(make_product()), shipping_address=address).json()
    buyer.until_event(order["id"], "parcel.booked")
    assert code_of(pick(order, 1)) == (409, "parcel_not_waiting")


def test_there_is_no_such_parcel(api: httpx2.Client, packer: Headers, order: Json) -> None:
    body = {"lines": [{"sku": "ANY", "quantity": 1}]}
    for path in (f"{uuid.uuid4()}/parcels/1", "nothing/parcels/1", f"{order['id']}/parcels/2"):
        headers = packer | {"Idempotency-Key": uuid.uuid4().hex}
        answer = api.post(f"/v1/ops/orders/{path}/pick", json=body, headers=headers)
        assert code_of(answer) == (404, "not_found"), path
    without_key = api.post(f"/v1/ops/orders/{order['id']}/parcels/1/pick", json=body, headers=packer)
    assert code_of(without_key) == (400, "idempotency_key_required")


@pytest.mark.parametrize("role", [Role.CUSTOMER, Role.SUPPORT, Role.CATALOG])
def test_only_the_warehouse_picks(api: httpx2.Client, make_staff: MakeStaff, role: Role) -> None:
    headers = make_staff(role) | {"Idempotency-Key": uuid.uuid4().hex}
    body = {"lines": [{"sku": "ANY", "quantity": 1}]}
    answer = api.post(f"/v1/ops/orders/{uuid.uuid4()}/parcels/1/pick", json=body, headers=headers)
    assert code_of(answer) == (403, "forbidden")
    assert code_of(api.get("/v1/ops/picks", headers=headers)) == (403, "forbidden")


def test_a_cursor_is_one_of_ours(api: httpx2.Client, packer: Headers) -> None:
    for wrong in ("x", "1", "1-", "-1-1"):
        answer = api.get("/v1/ops/picks", params={"cursor": wrong}, headers=packer)
        assert code_of(answer) == (422, "invalid_request")


def test_a_warehouse_has_its_picks_confirmed_from_now_on(api: httpx2.Client, packer: Headers) -> None:
    def asks() -> dict[str, bool]:
        items = api.get("/v1/warehouses", headers=packer).json()["items"]
        return {one["code"]: one["pick_required"] for one in items}

    assert asks() == {"BER": False, "AMS": False, "ROT": True}
    answer = api.patch("/v1/warehouses/ROT", json={"pick_required": False}, headers=packer)
    assert (answer.status_code, answer.json()["pick_required"]) == (200, False)
    assert asks()["ROT"] is False
    missing = api.patch("/v1/warehouses/NOWHERE", json={"pick_required": True}, headers=packer)
    assert code_of(missing) == (404, "not_found")
    assert code_of(api.patch("/v1/warehouses/ROT", json={}, headers=packer)) == (422, "invalid_request")
