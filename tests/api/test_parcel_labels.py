"""What staff see of a parcel's booking, and its customer does not."""

import json

import httpx2
import pytest

from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from schemas.users import Role
from tests.buyer import ADDRESS, Buyer
from tests.fixture_types import Headers, Json, MakeProduct, MakeStaff


@pytest.fixture
def booked(buyer: Buyer, make_product: MakeProduct) -> str:
    """An order whose parcel waits at the carrier."""
    waiting = ADDRESS | {"postal_code": WAITING_POSTAL_CODE}
    order_id: str = buyer.check_out(buyer.fill(make_product()), shipping_address=waiting).json()["id"]
    buyer.until_event(order_id, "parcel.booked")
    return order_id


def parcel(api: httpx2.Client, order_id: str, headers: Headers) -> Json:
    (found,) = api.get(f"/v1/orders/{order_id}", headers=headers).json()["parcels"]
    shown: Json = found
    return shown


def label(api: httpx2.Client, order_id: str, headers: Headers, number: int = 1) -> httpx2.Response:
    return api.get(f"/v1/ops/orders/{order_id}/parcels/{number}/label", headers=headers, follow_redirects=False)


def test_staff_see_label_service_and_cost_and_the_customer_does_not(
    api: httpx2.Client, buyer: Buyer, staff: Headers, booked: str
) -> None:
    shipment = parcel(api, booked, staff)["shipment"]
    assert (shipment["service"], shipment["cost"]) == ("standard", {"amount": 380, "currency": "EUR"})
    assert httpx2.get(shipment["label_url"]).content.startswith(b"%PDF")
    shown = parcel(api, booked, buyer.headers)
    assert shown["tracking_number"]
    assert shown["shipment"] is None
    history = api.get(f"/v1/orders/{booked}/history", headers=buyer.headers).json()
    assert shipment["label_url"] not in json.dumps(history)
    (event,) = [one for one in history["items"] if one["type"] == "parcel.booked"]
    assert event["data"].keys() == {"parcel", "service", "tracking_number", "tracking_url"}


def test_nothing_that_a_customer_changes_shows_them_the_cost(buyer: Buyer, booked: str) -> None:
    cancelled = buyer.post(f"/v1/orders/{booked}/cancel", {})
    assert cancelled.status_code in (200, 202), cancelled.text
    assert [one["shipment"] for one in cancelled.json()["parcels"]] == [None]


def test_the_warehouse_is_led_to_the_label_while_the_parcel_is_booked(
    *, api: httpx2.Client, buyer: Buyer, make_staff: MakeStaff, staff: Headers, booked: str
) -> None:
    packer = make_staff(Role.WAREHOUSE)
    led = label(api, booked, packer)
    assert (led.status_code, led.headers["cache-control"]) == (307, "no-store")
    assert led.headers["location"] == parcel(api, booked, staff)["shipment"]["label_url"]
    assert httpx2.get(led.headers["location"]).headers["content-type"] == "application/pdf"
    assert label(api, booked, buyer.headers).status_code == 403
    assert [label(api, *which).status_code for which in ((booked, packer, 2), ("nothing", packer))] == [404, 404]
    buyer.post(f"/v1/orders/{booked}/cancel", {})
    buyer.until(booked, "cancelled")
    gone = label(api, booked, packer)
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
