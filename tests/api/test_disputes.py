"""Disputes over HTTP: from the provider's webhook to the operator who answers, gives in or lets the parcels go."""

import time
import uuid
from collections.abc import Callable
from typing import Protocol

import httpx2
import pytest

from dev.testbed import Testbed
from tests.buyer import ADDRESS, Buyer
from tests.fixture_types import Customer, Headers, Json, Mailed, MakeProduct

PATH = "/v1/ops/disputes"


@pytest.fixture
def provider(engine: Testbed) -> str:
    return engine.url("PAYMENT_SIMULATOR_PORT")


def eventually(look: Callable[[], Json], **expected: object) -> Json:
    deadline = time.monotonic() + 40
    while (found := look()) and any(found.get(name) != value for name, value in expected.items()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


@pytest.fixture
def disputed(buyer: Buyer, make_product: MakeProduct, api: httpx2.Client, staff: Headers) -> Json:
    """The dispute of an order that was delivered, by a card that disputes what it has paid."""
    reachable = ADDRESS | {"postal_code": "10117"}
    version = buyer.fill(make_product(price=4000))
    placed = buyer.check_out(version, "pm_card_createDispute", shipping_address=reachable).raise_for_status().json()
    buyer.until(placed["id"], "delivered")
    eventually(lambda: buyer.order(placed["id"]), payment_status="disputed")
    listed = api.get(PATH, headers=staff).raise_for_status().json()["items"]
    return next(one for one in listed if one["order_id"] == placed["id"])


class Act(Protocol):
    """Staff acts on the dispute."""

    def __call__(self, what: str, key: str | None = None, **body: str) -> httpx2.Response: ...


@pytest.fixture
def act(api: httpx2.Client, disputed: Json, staff: Headers) -> Act:
    def ask(what: str, key: str | None = None, **body: str) -> httpx2.Response:
        headers = staff | {"Idempotency-Key": key or uuid.uuid4().hex}
        request = {"reason": "looked at it", **body}
        return api.post(f"{PATH}/{disputed['id']}/{what}", json=request, headers=headers)

    return ask


def history(buyer: Buyer, order_id: str) -> list[str]:
    items = buyer.api.get(f"/v1/orders/{order_id}/history", headers=buyer.headers).json()["items"]
    return [event["type"] for event in items]


def test_answered_and_won(
    disputed: Json,
    act: Act,
    buyer: Buyer,
    api: httpx2.Client,
    staff: Headers,
    provider: str,
) -> None:
    order_id, total = disputed["order_id"], buyer.order(disputed["order_id"])["total"]
    assert (disputed["status"], disputed["open"], disputed["amount"]) == ("needs_response", True, total)
    assert buyer.order(order_id)["payment"]["disputed"] == total
    headers = staff | {"Idempotency-Key": uuid.uuid4().hex}
    refused = api.post(f"/v1/ops/orders/{order_id}/refunds", json={"reason": "scratched"}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "payment_disputed")
    key = uuid.uuid4().hex
    answered = act("evidence", key, text="signed for by A. Lovelace")
    assert (answered.status_code, answered.json()["status"]) == (200, "under_review"), answered.text
    assert act("evidence", key, text="signed for by A. Lovelace").json() == answered.json()
    action = answered.json()["actions"][-1]
    assert (action["action"], action["text"], action["actor"].split(":")[0]) == (
        "evidence",
        "signed for by A. Lovelace",
        "staff",
    )
    decision = {"outcome": "won"}
    httpx2.post(f"{provider}/_control/disputes/{disputed['id']}/decide", json=decision).raise_for_status()
    eventually(lambda: buyer.order(order_id), payment_status="captured")
    known = httpx2.get(f"{provider}/_control/webhooks", params={"limit": 200}).json()["data"]
    for event in {one["event_id"] for one in known}:
        httpx2.post(f"{provider}/_control/events/{event}/resend", json={"times": 2}).raise_for_status()
    time.sleep(1)
    assert history(buyer, order_id).count("payment.disputed") == 1
    assert history(buyer, order_id).count("payment.dispute_closed") == 1
    late = act("accept")
    assert (late.status_code, late.json()["code"]) == (409, "dispute_closed")
    read = api.get(f"{PATH}/{disputed['id']}", headers=staff).json()
    assert (read["status"], read["open"], read["frozen"]) == ("won", False, False)


def test_accepted(
    disputed: Json,
    act: Act,
    buyer: Buyer,
    mailed: Mailed,
    customer: Customer,
) -> None:
    key = uuid.uuid4().hex
    given_in = act("accept", key)
    assert (given_in.status_code, given_in.json()["status"], given_in.json()["open"]) == (200, "lost", False)
    assert act("accept", key).json() == given_in.json()
    after = eventually(lambda: buyer.order(disputed["order_id"]), payment_status="refunded")
    assert (after["payment"]["refunded"]["amount"], after["payment"]["disputed"]) == (0, after["total"])
    assert "Your bank has decided" in mailed(customer.email, "your bank has decided")


def test_open_ones_come_first_page_by_page(disputed: Json, act: Act, api: httpx2.Client, staff: Headers) -> None:
    act("release").raise_for_status()
    again = act("release")
    assert (again.status_code, again.json()["code"]) == (409, "not_on_hold")
    seen: list[Json] = []
    cursor = None
    while True:
        query = {"limit": 1, **({"cursor": cursor} if cursor else {})}
        page = api.get(PATH, params=query, headers=staff).raise_for_status().json()
        seen.extend(page["items"])
        if (cursor := page["next_cursor"]) is None:
            break
    assert len({one["id"] for one in seen}) == len(seen)
    assert [one["open"] for one in seen] == sorted((one["open"] for one in seen), reverse=True)
    assert disputed["id"] in {one["id"] for one in seen if one["open"]}


@pytest.mark.parametrize("name", ["dp_nobody", "no such id"])
def test_a_dispute_that_is_none(api: httpx2.Client, staff: Headers, name: str) -> None:
    assert api.get(f"{PATH}/{name}", headers=staff).status_code in (404, 422)
