"""A customer cancels some lines of an order, over HTTP."""

import uuid

import pytest

from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from tests.buyer import ADDRESS, Buyer
from tests.fixture_types import Json, MakeCustomer, MakeProduct


@pytest.fixture
def booked(buyer: Buyer, make_product: MakeProduct) -> Json:
    """Three units of one SKU in a parcel that the carrier leaves where it is."""
    address = ADDRESS | {"postal_code": WAITING_POSTAL_CODE}
    placed = buyer.check_out(buyer.fill(make_product(price=1000), 3), shipping_address=address)
    assert placed.status_code == 201, placed.text
    buyer.until_event(placed.json()["id"], "parcel.booked")
    return buyer.order(placed.json()["id"])


def cancel(order: Json, quantity: int, **more: object) -> Json:
    return {"lines": [{"sku": order["lines"][0]["sku"], "quantity": quantity}], **more}


def test_once_whatever_is_sent_again(buyer: Buyer, booked: Json) -> None:
    path, key = f"/v1/orders/{booked['id']}/cancel", uuid.uuid4().hex
    answer = buyer.post(path, cancel(booked, 1, reason="one too many"), key)
    assert answer.status_code == 200, answer.text
    order = answer.json()
    assert order["status"] == "processing"
    assert (order["lines"][0]["quantity"], order["lines"][0]["cancelled"]) == (3, 1)
    assert buyer.post(path, cancel(booked, 1, reason="one too many"), key).json() == order
    assert buyer.post(path, cancel(booked, 2, reason="one too many"), key).status_code == 422
    history = buyer.api.get(f"/v1/orders/{booked['id']}/history", headers=buyer.headers).json()["items"]
    (event,) = [one for one in history if one["type"] == "order.lines_cancelled"]
    assert event["data"]["not_charged"]["amount"] == pytest.approx(booked["total"]["amount"] / 3, abs=1)


def test_the_rest_is_the_order(buyer: Buyer, booked: Json) -> None:
    path = f"/v1/orders/{booked['id']}/cancel"
    assert buyer.post(path, cancel(booked, 1)).status_code == 200
    assert buyer.post(path, cancel(booked, 2)).json()["status"] == "cancelled"
    assert sorted(buyer.effects(booked["id"])) == ["authorization", "void"]


def test_more_than_there_is(buyer: Buyer, booked: Json) -> None:
    path = f"/v1/orders/{booked['id']}/cancel"
    answer = buyer.post(path, cancel(booked, 4))
    assert (answer.status_code, answer.json()["code"]) == (409, "too_late")
    for lines in ([], [{"sku": booked["lines"][0]["sku"], "quantity": 0}], [{"sku": "?", "quantity": 1}]):
        answer = buyer.post(path, {"lines": lines})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert buyer.order(booked["id"])["lines"][0]["cancelled"] == 0


def test_of_somebody_else(buyer: Buyer, booked: Json, make_customer: MakeCustomer) -> None:
    stranger = Buyer(buyer.api, make_customer().headers, "")
    assert stranger.post(f"/v1/orders/{booked['id']}/cancel", cancel(booked, 1)).status_code == 404
