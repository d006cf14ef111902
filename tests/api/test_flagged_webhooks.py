"""A webhook whose amounts our books contradict is kept, shown, and acted on by nobody."""

import hashlib
import hmac
import json
import time
from typing import Protocol

import httpx2
import pytest
import uuid_utils
from temporalio.client import Client

from adapters.settings import Settings
from tests.buyer import SECURE, Buyer
from tests.fixture_types import Headers, Json, MakeProduct
from workflows.names import payment_workflow_id

PATH = "/v1/ops/webhooks/flagged"


class Deliver(Protocol):
    """Sends a webhook about the waiting payment, signed as the provider signs, with the fields a test gives."""

    def __call__(
        self, event_id: str | None = None, kind: str = "amount_capturable_updated", **fields: object
    ) -> Json: ...


@pytest.fixture
def waiting(buyer: Buyer, make_product: MakeProduct) -> Json:
    """An order whose payment waits for the customer's bank: any webhook that is believed would wake it."""
    order = buyer.check_out(buyer.fill(make_product()), SECURE).raise_for_status().json()
    assert order["status"] == "awaiting_payment"
    return dict(order)


@pytest.fixture
def deliver(api: httpx2.Client, settings: Settings, waiting: Json) -> Deliver:
    def send(event_id: str | None = None, kind: str = "amount_capturable_updated", **fields: object) -> Json:
        intent = waiting["payment_action"]["client_secret"].partition("_secret_")[0]
        subject = {
            "id": intent,
            "object": "payment_intent",
            "amount": waiting["total"]["amount"],
            "amount_received": 0,
            "currency": "eur",
            "metadata": {"order_id": waiting["id"]},
            **fields,
        }
        event = {"id": event_id or f"evt_{uuid_utils.uuid7().hex}", "object": "event", "created": 1}
        event |= {"type": f"payment_intent.{kind}", "api_version": "2026-10-28.endive", "data": {"object": subject}}
        body, moment = json.dumps(event), int(time.time())
        secret = settings.stripe_webhook_secret.get_secret_value().encode()
        digest = hmac.new(secret, f"{moment}.{body}".encode(), hashlib.sha256).hexdigest()
        headers = {"stripe-signature": f"t={moment},v1={digest}", "content-type": "application/json"}
        answer = api.post("/v1/webhooks/stripe", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return {"event_id": event["id"], **answer.json()}

    return send


async def signaled_events(client: Client, order_id: str) -> str:
    history = await client.get_workflow_handle(payment_workflow_id(order_id)).fetch_history()
    signals = [one for one in history.events if one.HasField("workflow_execution_signaled_event_attributes")]
    return "".join(str(one.workflow_execution_signaled_event_attributes.input.payloads[0].data) for one in signals)


async def test_what_cannot_be_is_kept_and_wakes_nobody(
    deliver: Deliver,
    waiting: Json,
    buyer: Buyer,
    api: httpx2.Client,
    staff: Headers,
    temporal_client: Client,
) -> None:
    total = waiting["total"]["amount"]
    wrong = [
        deliver(amount=total - 1),
        deliver(currency="usd"),
        deliver(kind="succeeded", amount_received=total + 1),
    ]
    assert [one["outcome"] for one in wrong] == ["flagged"] * 3
    assert deliver(wrong[0]["event_id"], amount=total - 1)["outcome"] == "seen"
    right = deliver()
    assert right["outcome"] == "applied"
    signaled = await signaled_events(temporal_client, waiting["id"])
    assert right["event_id"] in signaled
    assert not any(one["event_id"] in signaled for one in wrong)
    assert buyer.order(waiting["id"])["status"] == "awaiting_payment"
    shown = {one["event_id"]: one for one in api.get(PATH, headers=staff).json()["items"]}
    amount, currency, captured = (shown[one["event_id"]] for one in wrong)
    assert amount["differences"] == {"amount": {"told": total - 1, "booked": total}}
    assert currency["differences"] == {"currency": {"told": "USD", "booked": "EUR"}}
    assert captured["differences"] == {"captured": {"told": total + 1, "booked": 0}}
    assert (amount["order_id"], amount["reviewed"]) == (waiting["id"], False)


async def test_somebody_looks_at_it(deliver: Deliver, api: httpx2.Client, staff: Headers) -> None:
    first, second = deliver(amount=1)["event_id"], deliver(amount=2)["event_id"]
    reviewed = api.post(f"{PATH}/{second}/review", json={"reason": "a test of theirs"}, headers=staff)
    entry = reviewed.json()
    assert (reviewed.status_code, entry["reviewed"], entry["review"]) == (200, True, "a test of theirs")
    again = api.post(f"{PATH}/{second}/review", json={"reason": "or was it?"}, headers=staff)
    assert again.json() == entry, "the first word stays"
    seen: list[Json] = []
    cursor = None
    while True:
        page = api.get(PATH, params={"limit": 1, **({"cursor": cursor} if cursor else {})}, headers=staff).json()
        seen.extend(page["items"])
        if (cursor := page["next_cursor"]) is None:
            break
    ids = [one["event_id"] for one in seen]
    assert len(set(ids)) == len(ids)
    assert ids.index(first) < ids.index(second)
    assert [one["reviewed"] for one in seen] == sorted(one["reviewed"] for one in seen)
    nobody = api.post(f"{PATH}/evt_nobody/review", json={"reason": "none"}, headers=staff)
    assert nobody.status_code == 404
