"""The carrier simulator over HTTP, its webhooks checked by the Standard Webhooks library."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from dev.carrier_simulator.app import create_app
from dev.carrier_simulator.settings import Settings
from tests.dev.conftest import Eventually, RunApp, WebhookReceiver
from tests.fixture_types import Json

KEY = "development-carrier"
SECRET = "whsec_ZGV2ZWxvcG1lbnQtY2Fycmllci1zZWNyZXQ="
ROAD = ["shipment.dispatched", "shipment.in_transit", "shipment.out_for_delivery", "shipment.delivered"]


class Carrier:
    """One running simulator and a client that has its key."""

    def __init__(self, settings: Settings, run_app: RunApp) -> None:
        self._run, self.settings = run_app, settings
        self.start()

    def start(self) -> None:
        self.app = self._run(create_app(self.settings))
        self.client = httpx2.Client(base_url=self.app.url, headers={"Authorization": f"Bearer {KEY}"})

    def book(self, key: str = "k1", postal_code: str = "10115", **changes: object) -> httpx2.Response:
        by = {} if "rate" in changes else {"service": "standard"}
        body = self._shipment(postal_code) | by | changes
        return self.client.post("/v1/shipments", json=body, headers={"Idempotency-Key": key})

    def rates(self, **changes: object) -> httpx2.Response:
        return self.client.post("/v1/rates", json=self._shipment("10115") | changes)

    def control(self, name: str, action: str, body: dict[str, object]) -> httpx2.Response:
        return self.client.post(f"/_control/shipments/{name}/{action}", json=body)

    def _shipment(self, postal_code: str) -> Json:
        to = {"name": "Ada", "line1": "Street 1", "city": "Berlin", "postal_code": postal_code, "country": "DE"}
        parcels = [{"weight_grams": 1200, "items": [{"sku": "SKU-1", "quantity": 2}]}]
        origin = {"country": "DE", "warehouse": "BER"}
        return {"reference": "o1", "ship_from": origin, "ship_to": to, "parcels": parcels}


@pytest.fixture
def carrier(run_app: RunApp, hooks: WebhookReceiver, tmp_path: Path) -> Carrier:
    return Carrier(Settings(KEY, SECRET, hooks.url, str(tmp_path / "carrier.sqlite3"), step_seconds=0.1), run_app)


def test_a_parcel_travels_by_itself(carrier: Carrier, hooks: WebhookReceiver, eventually: Eventually) -> None:
    hooks.failures = 1
    booked = carrier.book()
    assert booked.status_code == 201
    body = booked.json()
    assert (body["status"], body["reference"]) == ("booked", "o1")
    assert {"tracking_number", "tracking_url", "label_url", "estimated_delivery"} <= body.keys()
    eventually(lambda: len(hooks.received) == 4, "not all events arrived")
    events = sorted(hooks.bodies(), key=lambda event: event["data"]["sequence"])
    assert [event["type"] for event in events] == ROAD
    assert [event["data"]["sequence"] for event in events] == [1, 2, 3, 4]
    assert events[0]["data"]["shipment_id"] == body["id"]
    for headers, raw in hooks.received:
        assert Webhook(SECRET).verify(raw, headers)["data"]["reference"] == "o1"
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(raw + b" ", headers)
    assert carrier.client.get(f"/v1/shipments/{body['id']}").json()["status"] == "delivered"
    assert "delivered" in carrier.client.get(f"/track/{body['tracking_number']}").text
    label = httpx2.get(body["label_url"].replace(carrier.settings.public_url, carrier.app.url))  # without the key
    assert label.headers["content-type"] == "application/pdf"
    assert_is_pdf(label.content, b"(10115 Berlin)", body["tracking_number"].encode())
    assert httpx2.get(f"{carrier.app.url}/labels/shp_other.pdf").status_code == 404


def assert_is_pdf(document: bytes, *shown: bytes) -> None:
    assert document.startswith(b"%PDF-1.4\n")
    assert document.endswith(b"%%EOF\n")
    table = int(document.split(b"startxref\n")[1].split()[0])
    assert document[table:].startswith(b"xref\n0 6\n")
    offsets = [int(line.split()[0]) for line in document[table:].splitlines()[3:8]]
    assert [document[offset:].split()[0] for offset in offsets] == [b"1", b"2", b"3", b"4", b"5"]
    for text in shown:
        assert text in document


def test_rates_are_by_weight_and_country(carrier: Carrier) -> None:
    def prices(country: str = "DE", grams: int = 1200, postal_code: str = "10115") -> dict[str, int]:
        to = {"name": "Ada", "line1": "Street 1", "city": "Berlin", "postal_code": postal_code, "country": country}
        parcels = [{"weight_grams": grams, "items": [{"sku": "SKU-1", "quantity": 2}]}]
        quoted = carrier.rates(ship_to=to, parcels=parcels).json()["data"]
        assert all(rate["expires_at"] and rate["currency"] == "EUR" for rate in quoted)
        return {rate["service"]: rate["amount"] for rate in quoted}

    assert prices() == {"standard": 420, "express": 1110, "pickup": 0}
    assert prices("FR") == {"standard": 840, "express": 2220, "pickup": 0}
    assert prices("US") == {"standard": 2100, "express": 5550, "pickup": 0}
    assert prices(grams=20_001) == {"standard": 1180, "express": 3200}
    assert prices(grams=100_001).keys() == {"standard"}
    assert prices(postal_code="22222").keys() == {"express"}


def test_a_rate_is_booked_for_what_it_was_quoted_for(carrier: Carrier) -> None:
    quoted = {rate["service"]: rate for rate in carrier.rates().json()["data"]}
    by_express = carrier.book("a", rate=quoted["express"]["id"])
    assert by_express.status_code == 201
    rate = {"id": quoted["express"]["id"], "service": "express", "amount": 1110, "currency": "EUR"}
    assert (by_express.json()["service"], by_express.json()["rate"]) == ("express", rate)
    assert carrier.book("b").json()["rate"] == {"id": None, "service": "standard", "amount": 420, "currency": "EUR"}
    standard = quoted["standard"]["id"]
    other = carrier.book("c", postal_code="11111", rate=standard)
    assert (other.status_code, other.json()["code"]) == (422, "rate_mismatch")
    assert carrier.book("c", rate=standard, service="standard").json()["code"] == "invalid_request"
    assert carrier.book("c", postal_code="22222", service="pickup").json()["code"] == "service_unavailable"
    assert carrier.client.post("/_control/rates/expire").json() == {"expired": 3}
    late = carrier.book("c", rate=standard)
    assert (late.status_code, late.json()["code"]) == (422, "rate_expired")
    assert carrier.book("a", rate=quoted["express"]["id"]).json() == by_express.json()
    assert carrier.book("a", rate=standard).json()["code"] == "idempotency_key_reused"


def test_no_rates_for_strangers_and_addresses_nobody_delivers_to(carrier: Carrier) -> None:
    to = {"name": "Ada", "line1": "Street 1", "city": "Berlin", "postal_code": "00000", "country": "DE"}
    refused = carrier.rates(ship_to=to)
    assert (refused.status_code, refused.json()["code"]) == (422, "address_undeliverable")
    assert carrier.rates(parcels=[]).json()["code"] == "invalid_request"
    carrier.client.headers["Authorization"] = "Bearer wrong"
    assert carrier.rates().status_code == 401


def test_one_key_books_once(carrier: Carrier) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: carrier.book(postal_code="11111"), range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 15
    other = carrier.book(postal_code="11111", service="express")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(carrier.client.get("/v1/shipments", params={"reference": "o1"}).json()["data"]) == 1


def test_refusals(carrier: Carrier) -> None:
    lost = carrier.book(postal_code="00000")
    assert (lost.status_code, lost.json()["code"]) == (422, "address_undeliverable")
    bad = carrier.book(parcels=[])
    assert (bad.status_code, bad.json()["code"]) == (422, "invalid_request")
    assert bad.json()["errors"][0]["path"] == ["parcels"]
    assert carrier.book(key="").status_code == 400
    assert carrier.client.get("/v1/shipments/shp_none").status_code == 404
    stranger = httpx2.get(f"{carrier.app.url}/v1/shipments/x", headers={"Authorization": "Bearer wrong"})
    assert stranger.status_code == 401
    assert carrier.client.get("/_ledger").json()["data"] == []


def test_cancel_before_but_not_after_dispatch(carrier: Carrier) -> None:
    first = carrier.book("a", "11111").json()["id"]
    for _ in range(2):
        assert carrier.client.post(f"/v1/shipments/{first}/cancel").json()["status"] == "cancelled"
    assert carrier.control(first, "advance", {"to": "dispatched"}).status_code == 409
    second = carrier.book("b", "11111").json()["id"]
    carrier.control(second, "advance", {"to": "dispatched"}).raise_for_status()
    late = carrier.client.post(f"/v1/shipments/{second}/cancel")
    assert (late.status_code, late.json()["code"]) == (409, "already_dispatched")


def test_moved_by_hand_in_trouble_and_onwards(carrier: Carrier, hooks: WebhookReceiver, eventually: Eventually) -> None:
    name = carrier.book(postal_code="11111").json()["id"]
    carrier.control(name, "advance", {"to": "in_transit"}).raise_for_status()
    assert carrier.control(name, "advance", {"to": "exception"}).json()["status"] == "exception"
    assert carrier.control(name, "advance", {"to": "dispatched"}).status_code == 409
    assert carrier.control(name, "advance", {"to": "delivered"}).json()["sequence"] == 5
    eventually(lambda: len(hooks.received) == 5, "not all events arrived")
    assert set(hooks.types()) == {*ROAD, "shipment.exception"}


def test_events_come_again_and_in_another_order(
    carrier: Carrier, hooks: WebhookReceiver, eventually: Eventually
) -> None:
    name = carrier.book(postal_code="11111").json()["id"]
    carrier.control(name, "advance", {"to": "delivered", "reversed": True}).raise_for_status()
    eventually(lambda: len(hooks.received) == 4, "not all events arrived")
    assert hooks.types() == ROAD[::-1]
    carrier.control(name, "resend", {"sequences": [3, 1], "times": 2}).raise_for_status()
    eventually(lambda: len(hooks.received) == 8, "no duplicates arrived")
    assert [body["data"]["sequence"] for body in hooks.bodies()[4:]] == [3, 1, 3, 1]
    assert len({headers["webhook-id"] for headers, _ in hooks.received}) == 4
    assert carrier.control(name, "resend", {"sequences": [9]}).status_code == 404


def test_faults(carrier: Carrier) -> None:
    def fault(kind: str, **more: object) -> None:
        body = {"kind": kind, "match": {"operation": "book", "reference": "o1"}, **more}
        carrier.client.post("/_control/faults", json=body).raise_for_status()

    fault("fail_before")
    assert carrier.book(postal_code="11111").status_code == 503
    assert carrier.client.get("/_ledger").json()["data"] == []
    fault("error_after")
    assert carrier.book(postal_code="11111").status_code == 500
    fault("timeout_after", seconds=0.05)
    with pytest.raises(httpx2.TransportError):
        carrier.book(postal_code="11111")
    assert carrier.book(postal_code="11111").headers["idempotent-replayed"] == "true"
    assert len(carrier.client.get("/_ledger", params={"reference": "o1"}).json()["data"]) == 1


def test_parcels_go_on_after_a_restart(carrier: Carrier, hooks: WebhookReceiver, eventually: Eventually) -> None:
    carrier.settings = replace(carrier.settings, step_seconds=2)
    carrier.app.stop()
    carrier.start()
    carrier.book()
    eventually(lambda: len(hooks.received) == 1, "the parcel did not move")
    carrier.app.stop()
    carrier.start()
    eventually(lambda: len(hooks.received) == 4, "the parcel did not go on")
    assert hooks.types() == ROAD


def test_a_parcel_comes_back_or_is_lost(carrier: Carrier, hooks: WebhookReceiver, eventually: Eventually) -> None:
    names = [carrier.book(key, "11111").json()["id"] for key in ("a", "b", "c")]
    carrier.control(names[0], "advance", {"to": "out_for_delivery"}).raise_for_status()
    for trouble in ("refused", "returned"):
        assert carrier.control(names[0], "advance", {"to": trouble}).json()["status"] == trouble
    assert carrier.control(names[1], "advance", {"to": "lost"}).json()["sequence"] == 2
    assert carrier.control(names[2], "advance", {"to": "refused"}).json()["status"] == "refused"
    for name in names[:2]:
        assert carrier.control(name, "advance", {"to": "delivered"}).status_code == 409
    eventually(lambda: len(hooks.received) == 8, "not all events arrived")
    assert set(hooks.types()) == {*ROAD[:3], "shipment.refused", "shipment.returned", "shipment.lost"}


def test_who_asks_learns_of_what_no_webhook_said(carrier: Carrier, hooks: WebhookReceiver) -> None:
    name = carrier.book(postal_code="11111", service="pickup").json()["id"]
    (booked,) = carrier.client.get("/v1/shipments", params={"reference": "o1"}).json()["data"]
    assert (booked["status"], booked["events"], booked["location"]) == ("booked", [], None)
    assert booked["occurred_at"]
    carrier.control(name, "advance", {"to": "in_transit", "silent": True}).raise_for_status()
    carrier.client.put("/_control/webhooks", json={"copies": 0}).raise_for_status()
    carrier.control(name, "advance", {"to": "out_for_delivery"}).raise_for_status()
    found = carrier.client.get(f"/v1/shipments/{name}").json()
    assert [event["status"] for event in found["events"]] == ["dispatched", "in_transit", "out_for_delivery"]
    assert (found["status"], found["location"]) == ("out_for_delivery", "Delivery depot")
    assert found["occurred_at"] == found["events"][-1]["occurred_at"]
    assert carrier.client.get("/_control/webhooks").json()["data"] == hooks.received == []
    unknown = carrier.client.get("/v1/shipments", params={"reference": "o2"})
    assert unknown.json() == {"data": []}


def test_events_come_late_and_twice(carrier: Carrier, hooks: WebhookReceiver, eventually: Eventually) -> None:
    carrier.client.put("/_control/webhooks", json={"copies": 2, "delay_seconds": 0.3}).raise_for_status()
    name = carrier.book(postal_code="11111").json()["id"]
    carrier.control(name, "advance", {"to": "dispatched"}).raise_for_status()
    eventually(lambda: hooks.types() == ["shipment.dispatched"] * 2, "the event did not come twice")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 422, 425, 429, 500])
@pytest.mark.parametrize("operation", ["rates", "book", "cancel", "find"])
def test_every_operation_can_be_refused(carrier: Carrier, operation: str, status: int) -> None:
    name = carrier.book("first", postal_code="11111").json()["id"]
    fault = {"kind": str(status), "match": {"operation": operation}}
    calls: dict[str, Callable[[], httpx2.Response]] = {
        "rates": carrier.rates,
        "book": lambda: carrier.book("second", postal_code="11111"),
        "cancel": lambda: carrier.client.post(f"/v1/shipments/{name}/cancel"),
        "find": lambda: carrier.client.get("/v1/shipments", params={"reference": "o1"}),
    }
    carrier.client.post("/_control/faults", json=fault | {"seconds": 2, "code": "made_up"}).raise_for_status()
    refused = calls[operation]()
    assert (refused.status_code, refused.json()["code"]) == (status, "made_up")
    assert refused.headers["retry-after"] == "2"
    (kept,) = carrier.client.get("/_ledger").json()["data"]
    assert (kept["id"], kept["status"]) == (name, "booked")


def test_answers_that_cannot_be_used(carrier: Carrier) -> None:
    def spoil(kind: str, **more: object) -> httpx2.Response:
        carrier.client.post("/_control/faults", json={"kind": kind, **more}).raise_for_status()
        return carrier.book(postal_code="11111")

    assert spoil("malformed").text == "{"
    assert "id" not in spoil("lacking").json()
    assert len(spoil("too_long", field="tracking_number").json()["tracking_number"]) == 1000
    assert carrier.book(postal_code="11111").headers["idempotent-replayed"] == "true"


def test_a_key_whose_request_still_runs_is_turned_away(carrier: Carrier, eventually: Eventually) -> None:
    carrier.client.post("/_control/faults", json={"kind": "latency", "seconds": 60}).raise_for_status()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(carrier.book, postal_code="11111")
        eventually(lambda: carrier.client.get("/_control/faults").json()[0]["hits"] == 1, "it never came")
        twin = carrier.book(postal_code="11111")
        assert (twin.status_code, twin.json()["code"]) == (409, "request_in_progress")
        carrier.client.delete("/_control/faults").raise_for_status()
        assert first.result().status_code == 201
    assert carrier.book(postal_code="11111").json()["id"] == first.result().json()["id"]
