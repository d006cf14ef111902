"""A customer decides about goods that have not arrived, over HTTP."""

import uuid

import pytest

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from schemas.stock import SetStockRules
from tests.buyer import ADDRESS, Buyer
from tests.fixture_types import Json, MakeCustomer, MakeProduct


@pytest.fixture
def waiting(buyer: Buyer, make_product: MakeProduct, connections: Connections) -> Json:
    """One unit is in a parcel that the carrier leaves where it is, two are on backorder."""
    sku = make_product(stock=1, price=1000)
    Stock(connections.engine).set_rules(sku, SetStockRules(backorderable=True))
    address = ADDRESS | {"postal_code": WAITING_POSTAL_CODE}
    placed = buyer.check_out(buyer.fill(sku, 3), shipping_address=address)
    assert placed.status_code == 201, placed.text
    buyer.until_event(placed.json()["id"], "parcel.booked")
    return buyer.order(placed.json()["id"])


def decide(buyer: Buyer, order: Json, choice: str) -> tuple[int, Json]:
    answer = buyer.post(f"/v1/orders/{order['id']}/backorder", {"choice": choice})
    body: Json = answer.json()
    return answer.status_code, body


def test_the_order_says_until_when_it_waits(waiting: Json) -> None:
    there, late = waiting["parcels"]
    assert there["ship_by"] is not None
    assert late["backordered_until"] is not None
    assert (there["backordered_until"], late["ship_by"], there["late"], late["late"]) == (None, None, False, False)


def test_waiting_longer_changes_nothing_else(buyer: Buyer, waiting: Json) -> None:
    code, order = decide(buyer, waiting, "wait")
    assert (code, order["status"]) == (200, waiting["status"])
    assert order["lines"] == waiting["lines"]


def test_the_rest_goes_on_alone(buyer: Buyer, waiting: Json) -> None:
    key = uuid.uuid4().hex
    path = f"/v1/orders/{waiting['id']}/backorder"
    answer = buyer.post(path, {"choice": "take_available"}, key)
    assert answer.status_code == 200, answer.text
    order = answer.json()
    assert [(line["quantity"], line["cancelled"], line["backordered"]) for line in order["lines"]] == [(3, 2, 0)]
    assert [parcel["status"] for parcel in order["parcels"]] == ["booked", "cancelled"]
    assert buyer.post(path, {"choice": "take_available"}, key).json() == order
    refused = buyer.post(path, {"choice": "wait"})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_backordered")


def test_all_of_it_is_cancelled(buyer: Buyer, waiting: Json) -> None:
    assert decide(buyer, waiting, "cancel")[1]["status"] == "cancelled"
    assert sorted(buyer.effects(waiting["id"])) == ["authorization", "void"]


def test_of_somebody_else(buyer: Buyer, waiting: Json, make_customer: MakeCustomer) -> None:
    stranger = Buyer(buyer.api, make_customer().headers, "")
    assert decide(stranger, waiting, "cancel")[0] == 404


def test_an_unknown_choice(buyer: Buyer, waiting: Json) -> None:
    code, body = decide(buyer, waiting, "hope")
    assert (code, body["code"]) == (422, "invalid_request")
