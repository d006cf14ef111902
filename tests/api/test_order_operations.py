"""Staff decides about orders that cannot go on without them, over HTTP."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Protocol

import httpx2
import pytest

from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from dev.testbed import Testbed
from tests.buyer import ADDRESS, Buyer
from tests.fixture_types import Headers, Json, MakeProduct

RISKY = "pm_card_riskLevelElevated"


class Ask(Protocol):
    """Staff decides something about an order."""

    def __call__(self, order_id: str, what: str, body: Json, key: str | None = None) -> httpx2.Response: ...


@pytest.fixture
def ask(api: httpx2.Client, staff: Headers) -> Ask:
    def post(order_id: str, what: str, body: Json, key: str | None = None) -> httpx2.Response:
        headers = staff | {"Idempotency-Key": key or uuid.uuid4().hex}
        return api.post(f"/v1/ops/orders/{order_id}/{what}", json=body, headers=headers)

    return post


def test_a_risky_order_is_put_on_hold_and_approved_once(buyer: Buyer, make_product: MakeProduct, ask: Ask) -> None:
    placed = buyer.check_out(buyer.fill(make_product()), RISKY)
    assert (placed.status_code, placed.json()["status"]) == (201, "on_hold"), placed.text
    order_id, key = placed.json()["id"], uuid.uuid4().hex
    approval = {"verdict": "approve", "reason": "spoke to her"}
    answer = ask(order_id, "risk", approval, key)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] in ("confirmed", "processing")
    assert ask(order_id, "risk", approval, key).json() == answer.json()
    again = ask(order_id, "risk", {"verdict": "decline", "reason": "changed my mind"})
    assert (again.status_code, again.json()["code"]) == (409, "not_in_review")
    assert "spoke to her" not in buyer.api.get(f"/v1/orders/{order_id}/history", headers=buyer.headers).text


def test_a_risky_order_is_declined(buyer: Buyer, make_product: MakeProduct, ask: Ask) -> None:
    order_id = buyer.check_out(buyer.fill(make_product()), RISKY).json()["id"]
    answer = ask(order_id, "risk", {"verdict": "decline", "reason": "stolen card"})
    assert (answer.status_code, answer.json()["status"]) == (200, "failed"), answer.text
    assert answer.json()["failure_code"] == "risk_declined"
    assert buyer.effects(order_id) == ["authorization", "void"]
    assert ask(order_id, "risk", {"verdict": "perhaps", "reason": "?"}).status_code == 422


def needs_operator(api: httpx2.Client, staff: Headers, order_id: str) -> list[str]:
    """As the list of orders shows it to staff; an order is found a moment after it was placed."""
    deadline = time.monotonic() + 120
    while not (items := api.get("/v1/ops/orders", params={"q": order_id}, headers=staff).json()["items"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (found,) = items
    texts: list[str] = found["needs_operator"]
    return texts


def until_nothing_waits(api: httpx2.Client, staff: Headers, order_id: str) -> None:
    """Tasks are written beside the order's own steps."""
    deadline = time.monotonic() + 120
    while (waiting := needs_operator(api, staff, order_id)) != []:
        assert time.monotonic() < deadline, waiting
        time.sleep(0.1)


Arm = Callable[[str, Json], None]


@pytest.fixture
def arm(bed: Testbed) -> Iterator[Arm]:
    """Faults of the provider or the carrier, which end with the test."""
    armed: list[str] = []

    def post(service: str, fault: Json) -> None:
        address = f"{bed.url(service)}/_control/faults"
        httpx2.post(address, json=fault | {"times": 100_000}).raise_for_status()
        armed.append(address)

    yield post
    for address in armed:
        httpx2.delete(address).raise_for_status()


@pytest.fixture
def booked(buyer: Buyer, make_product: MakeProduct) -> str:
    """An order whose parcel waits at the carrier."""
    waiting = ADDRESS | {"postal_code": WAITING_POSTAL_CODE}
    order_id: str = buyer.check_out(buyer.fill(make_product()), shipping_address=waiting).json()["id"]
    buyer.until_event(order_id, "parcel.booked")
    return order_id


def test_what_cannot_be_compensated_is_shown_and_settled_by_hand(
    api: httpx2.Client, staff: Headers, buyer: Buyer, booked: str, ask: Ask, arm: Arm, bed: Testbed
) -> None:
    refused = ask(booked, "compensation", {"retry": False, "reason": "nothing to do"})
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_blocked")
    arm("PAYMENT_SIMULATOR_PORT", {"kind": "400", "match": {"operation": "capture", "metadata_order_id": booked}})
    carrier = bed.url("CARRIER_SIMULATOR_PORT")
    (shipment,) = httpx2.get(f"{carrier}/_ledger", params={"reference": f"{booked}-1"}).json()["data"]
    moved = {"to": "dispatched"}
    httpx2.post(f"{carrier}/_control/shipments/{shipment['id']}/advance", json=moved).raise_for_status()
    buyer.until(booked, "compensation_blocked")
    unpaid, kept = needs_operator(api, staff, booked)
    assert unpaid.startswith("cancel the parcels: Parcel 1 was dispatched and its capture was declined")
    assert kept == "void the payment: Parcel 1 was dispatched and is not captured: the authorization is kept."
    assert ask(booked, "compensation", {"retry": False}).status_code == 422
    answer = ask(booked, "compensation", {"retry": False, "reason": "the customer keeps it"})
    assert answer.status_code == 200, answer.text
    buyer.until(booked, "failed")
    until_nothing_waits(api, staff, booked)


def test_staff_say_what_became_of_a_parcel_of_which_the_carrier_does_not(
    api: httpx2.Client, staff: Headers, buyer: Buyer, booked: str, ask: Ask, arm: Arm
) -> None:
    known = ask(booked, "parcels/1", {"outcome": "stopped", "reason": "?"})
    assert (known.status_code, known.json()["code"]) == (409, "parcel_not_unknown")
    for operation in ("cancel", "find", "retrieve"):
        match = {"operation": operation, "reference": f"{booked}-1"}
        arm("CARRIER_SIMULATOR_PORT", {"kind": "fail_before", "match": match})
    cancelled = api.post(f"/v1/orders/{booked}/cancel", headers=buyer.headers)
    assert cancelled.status_code == 202, cancelled.text
    buyer.until(booked, "compensation_blocked")
    assert any("was parcel 1 dispatched?" in text for text in needs_operator(api, staff, booked))
    too_early = ask(booked, "compensation", {"retry": False, "reason": "forget it"})
    assert (too_early.status_code, too_early.json()["code"]) == (409, "parcel_unknown")
    answer = ask(booked, "parcels/1", {"outcome": "stopped", "reason": "it is still in our warehouse"})
    assert answer.status_code == 200, answer.text
    buyer.until(booked, "cancelled")
    assert buyer.effects(booked) == ["authorization", "void"]
    until_nothing_waits(api, staff, booked)
