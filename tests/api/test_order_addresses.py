"""A customer has an order shipped to another address, over HTTP."""

import uuid
from collections.abc import Iterator

import httpx2
import pytest

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from schemas.stock import ChangeWarehouse
from schemas.users import Role
from tests.buyer import ADDRESS, Buyer
from tests.conftest import eventually
from tests.fixture_types import Json, MakeCustomer, MakeProduct, MakeStaff

DANISH = ADDRESS | {"city": "Odense", "country": "DK", "postal_code": WAITING_POSTAL_CODE}
GERMAN = ADDRESS | {"line1": "Neue Straße 2", "postal_code": WAITING_POSTAL_CODE}
AMERICAN = GERMAN | {"country": "US"}


@pytest.fixture(autouse=True)
def rotterdam_asks(connections: Connections) -> Iterator[None]:
    stock = Stock(connections.engine)
    stock.change_warehouse("ROT", ChangeWarehouse(pick_required=True))
    yield
    stock.change_warehouse("ROT", ChangeWarehouse(pick_required=False))


@pytest.fixture
async def order(buyer: Buyer, make_product: MakeProduct) -> Json:
    """From Denmark, in a parcel that waits for its pick."""
    version = buyer.fill(make_product({"ROT": 9}, price=1000), 2)
    placed = buyer.check_out(version, shipping_address=DANISH)
    assert placed.status_code in (201, 202), placed.text
    order_id = placed.json()["id"]
    # Not shipped to, so that nothing changes; another code means that its parcels are not at the warehouse yet.
    body = {"shipping_address": AMERICAN}
    await eventually(
        lambda: str(buyer.post(f"/v1/orders/{order_id}/address", body).json().get("code")),
        lambda code: code == "address_raises_total",
    )
    return buyer.order(order_id)


def change(buyer: Buyer, order: Json, address: Json, key: str | None = None) -> httpx2.Response:
    key = key or uuid.uuid4().hex
    while True:  # on a busy machine the workers may take longer than one request waits for them
        answer = buyer.post(f"/v1/orders/{order['id']}/address", {"shipping_address": address}, key)
        if answer.status_code not in (202, 503):
            return answer


def test_once_whatever_is_sent_again(buyer: Buyer, order: Json) -> None:
    key = uuid.uuid4().hex
    answer = change(buyer, order, GERMAN, key)
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert {name: changed["shipping_address"][name] for name in GERMAN} == GERMAN
    assert changed["total"]["amount"] < order["total"]["amount"]
    assert changed["payment"]["held"] == order["total"]
    assert change(buyer, order, GERMAN, key).json() == changed
    assert change(buyer, order, DANISH, key).json()["code"] == "idempotency_key_reused"
    history = buyer.api.get(f"/v1/orders/{order['id']}/history", headers=buyer.headers).json()["items"]
    (event,) = [one for one in history if one["type"] == "order.address_changed"]
    assert event["data"] == {"total": changed["total"], "previous_total": order["total"]}
    assert event["actor"].startswith("customer:")


def test_where_it_costs_more(buyer: Buyer, order: Json) -> None:
    answer = change(buyer, order, AMERICAN)
    assert (answer.status_code, answer.json()["code"]) == (409, "address_raises_total")
    assert answer.json()["total"] == order["total"]
    assert answer.json()["new_total"]["amount"] > order["total"]["amount"]
    assert buyer.order(order["id"])["shipping_address"] == order["shipping_address"]


def test_what_is_no_address(buyer: Buyer, order: Json) -> None:
    """As at the checkout."""
    for address in (GERMAN | {"country": "Germany"}, GERMAN | {"postal_code": "1"}, {"name": "Ada"}, GERMAN | {"x": 1}):
        answer = change(buyer, order, address)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_once_it_is_cancelled(buyer: Buyer, order: Json) -> None:
    assert buyer.post(f"/v1/orders/{order['id']}/cancel", {}).status_code in (200, 202)
    buyer.until(order["id"], "cancelled")
    answer = change(buyer, order, GERMAN)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_late")


def test_by_staff_and_by_strangers(
    buyer: Buyer, order: Json, make_staff: MakeStaff, make_customer: MakeCustomer
) -> None:
    assert change(Buyer(buyer.api, make_customer().headers, ""), order, GERMAN).status_code == 404
    assert change(Buyer(buyer.api, make_staff(Role.WAREHOUSE), ""), order, GERMAN).status_code == 403
    assert change(Buyer(buyer.api, make_staff(Role.SUPPORT), ""), order, GERMAN).status_code == 200
    history = buyer.api.get(f"/v1/orders/{order['id']}/history", headers=buyer.headers).json()["items"]
    actors = [one["actor"] for one in history if one["type"] == "order.address_changed"]
    assert [actor.partition(":")[0] for actor in actors] == ["staff"]
