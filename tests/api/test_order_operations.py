"""Staff decides about orders that cannot go on without them, over HTTP."""

import asyncio
import time
import uuid
from typing import Protocol

import httpx2
import pytest

from dev.testbed import Testbed
from temporal_clients.connection import connect_temporal
from tests.buyer import ADDRESS, Buyer
from tests.fixture_types import Headers, Json, MakeProduct
from workflows.names import order_workflow_id

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
    deadline = time.monotonic() + 30
    while not (items := api.get("/v1/ops/orders", params={"q": order_id}, headers=staff).json()["items"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (found,) = items
    texts: list[str] = found["needs_operator"]
    return texts


def until_nothing_waits(api: httpx2.Client, staff: Headers, order_id: str) -> None:
    """Tasks are written beside the order's own steps."""
    deadline = time.monotonic() + 30
    while (waiting := needs_operator(api, staff, order_id)) != []:
        assert time.monotonic() < deadline, waiting
        time.sleep(0.1)


def test_what_cannot_be_compensated_is_shown_and_settled_by_hand(
    api: httpx2.Client, staff: Headers, buyer: Buyer, make_product: MakeProduct, ask: Ask, bed: Testbed
) -> None:
    reachable = ADDRESS | {"postal_code": "10117"}
    order_id = buyer.check_out(buyer.fill(make_product()), shipping_address=reachable).json()["id"]
    refused = ask(order_id, "compensation", {"retry": False, "reason": "nothing to do"})
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_blocked")
    buyer.until(order_id, "shipped")
    asyncio.run(stop(bed, order_id))
    buyer.until(order_id, "compensation_blocked")
    assert needs_operator(api, staff, order_id) == [
        "cancel the parcels: Parcel 1 was dispatched and cannot be cancelled."
    ]
    assert ask(order_id, "compensation", {"retry": False}).status_code == 422
    answer = ask(order_id, "compensation", {"retry": False, "reason": "the customer keeps it"})
    assert answer.status_code == 200, answer.text
    buyer.until(order_id, "cancelled")
    until_nothing_waits(api, staff, order_id)


async def stop(bed: Testbed, order_id: str) -> None:
    """As an operator does in the Web UI."""
    client = await connect_temporal(bed.settings.temporal_address, bed.settings.temporal_namespace)
    await client.get_workflow_handle(order_workflow_id(order_id)).cancel()
