"""Webhooks: believed only with the right signature, acted on only once."""

import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import sqlalchemy as sa
import stripe
import uuid_utils
from standardwebhooks import Webhook
from structlog.testing import capture_logs
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.payments.flagged_webhooks import FlaggedWebhooks
from adapters.mysql.payments.ledger import Ledger
from adapters.mysql.tables.shared import webhook_receipts
from adapters.settings import Settings
from temporal_clients.payments import DisputeClient
from temporal_clients.provider_events import ProviderEvents

CARRIER, STRIPE = "/v1/webhooks/carrier", "/v1/webhooks/stripe"


def receipts_of(connections: Connections, event_id: str) -> list[str]:
    query = sa.select(webhook_receipts.c.outcome).where(webhook_receipts.c.event_id == event_id)
    with connections.engine.connect() as connection:
        return list(connection.scalars(query))


def carrier_delivery(
    settings: Settings, event_id: str, at: datetime | None = None, **change: object
) -> tuple[str, dict[str, str]]:
    data = {"shipment_id": "shp_1", "reference": f"{uuid_utils.uuid7()}-1", "status": "delivered", "sequence": 4}
    body = json.dumps({"type": "shipment.delivered", "timestamp": datetime.now(UTC).isoformat(), "data": data} | change)
    moment = at or datetime.now(UTC)
    signature = Webhook(settings.carrier_webhook_secret.get_secret_value()).sign(event_id, moment, body)
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": signature,
        "content-type": "application/json",
    }
    return body, headers


def stripe_delivery(
    settings: Settings, event_id: str, at: float | None = None, order_id: str | None = None
) -> tuple[str, dict[str, str]]:
    metadata = {"order_id": order_id} if order_id else {}
    subject = {"id": "pi_1", "object": "payment_intent", "amount": 100, "metadata": metadata}
    event = {"id": event_id, "object": "event", "type": "payment_intent.succeeded", "data": {"object": subject}}
    body, moment = json.dumps(event | {"api_version": "2026-10-28.endive", "created": 1}), int(at or time.time())
    secret = settings.stripe_webhook_secret.get_secret_value().encode()
    digest = hmac.new(secret, f"{moment}.{body}".encode(), hashlib.sha256).hexdigest()
    return body, {"stripe-signature": f"t={moment},v1={digest}", "content-type": "application/json"}


@pytest.fixture
def event_id() -> str:
    return f"evt_{uuid_utils.uuid7().hex}"


def post(api: httpx2.Client, path: str, delivery: tuple[str, dict[str, str]]) -> httpx2.Response:
    body, headers = delivery
    return api.post(path, content=body, headers=headers)


def check_not_believed(answer: httpx2.Response, connections: Connections, event_id: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")
    assert receipts_of(connections, event_id) == []


def test_a_delivery_about_nothing_of_ours_is_ignored_once_and_for_all(
    api: httpx2.Client, settings: Settings, connections: Connections, event_id: str
) -> None:
    delivery = carrier_delivery(settings, event_id)
    assert post(api, CARRIER, delivery).json() == {"outcome": "ignored"}
    assert post(api, CARRIER, delivery).json() == {"outcome": "seen"}
    assert receipts_of(connections, event_id) == ["ignored"]


def test_a_changed_body_is_not_believed(
    api: httpx2.Client, settings: Settings, connections: Connections, event_id: str
) -> None:
    body, headers = carrier_delivery(settings, event_id)
    check_not_believed(post(api, CARRIER, (body.replace("4", "5"), headers)), connections, event_id)
    body, headers = stripe_delivery(settings, event_id)
    check_not_believed(post(api, STRIPE, (body.replace("100", "999"), headers)), connections, event_id)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_delivery_of_another_time_is_not_believed(
    api: httpx2.Client, settings: Settings, connections: Connections, event_id: str, minutes: int
) -> None:
    moment = datetime.now(UTC) + timedelta(minutes=minutes)
    check_not_believed(post(api, CARRIER, carrier_delivery(settings, event_id, moment)), connections, event_id)


def test_an_old_delivery_of_the_provider_is_not_believed(
    api: httpx2.Client, settings: Settings, connections: Connections, event_id: str
) -> None:
    delivery = stripe_delivery(settings, event_id, time.time() - 360)
    check_not_believed(post(api, STRIPE, delivery), connections, event_id)


@pytest.mark.parametrize("signature", ["", "v1", "v1,", "v1,!!!", "v2,AAAA", "v1,ü", "x" * 5000])
def test_nonsense_for_a_signature_is_not_believed(
    api: httpx2.Client, settings: Settings, connections: Connections, event_id: str, signature: str
) -> None:
    body, headers = carrier_delivery(settings, event_id)
    odd = headers | {"webhook-signature": signature}
    sent = {name.encode(): value.encode() for name, value in odd.items()}
    check_not_believed(api.post(CARRIER, content=body, headers=sent), connections, event_id)
    sent = {b"stripe-signature": signature.encode(), b"content-type": b"application/json"}
    check_not_believed(api.post(STRIPE, content=body, headers=sent), connections, event_id)


def test_without_a_signature_nothing_is_believed(api: httpx2.Client) -> None:
    for path in (CARRIER, STRIPE):
        answer = api.post(path, json={"type": "shipment.delivered"})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")


def test_a_signed_body_that_makes_no_sense_is_refused(
    api: httpx2.Client, settings: Settings, connections: Connections, event_id: str
) -> None:
    answer = post(api, CARRIER, carrier_delivery(settings, event_id, data={"no": "reference"}))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert receipts_of(connections, event_id) == []


@pytest.mark.parametrize("kind", ["shipment.teleported", "invoice.sent"])
def test_a_kind_of_event_we_do_not_know_is_ignored(
    api: httpx2.Client, settings: Settings, event_id: str, kind: str
) -> None:
    assert post(api, CARRIER, carrier_delivery(settings, event_id, type=kind)).json() == {"outcome": "ignored"}


@pytest.mark.parametrize("known", [True, False])
def test_a_payment_that_is_not_ours_is_ignored(
    api: httpx2.Client, settings: Settings, connections: Connections, event_id: str, known: bool
) -> None:
    delivery = stripe_delivery(settings, event_id, order_id=str(uuid_utils.uuid7()) if known else None)
    assert post(api, STRIPE, delivery).json() == {"outcome": "ignored"}
    assert receipts_of(connections, event_id) == ["ignored"]


async def test_another_version_of_the_providers_api_is_warned_of_once(
    settings: Settings, connections: Connections, temporal_client: Client
) -> None:
    disputes = DisputeClient(temporal_client, settings.checkout_answer_seconds)
    ledger, flagged = Ledger(connections.engine), FlaggedWebhooks(connections.engine)
    events = ProviderEvents(settings, temporal_client, disputes, ledger, flagged)
    subject = {"id": "pi_1", "object": "payment_intent", "amount": 100}
    other = f"2025-09-30.{uuid_utils.uuid7().hex}"
    with capture_logs() as log:
        for version in (stripe.api_version, other, None, other):
            event = {"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": subject}}
            assert await events.apply(event | {"api_version": version}) == "ignored"
    assert [(line["log_level"], line["webhook"], line["ours"]) for line in log] == [
        ("warning", other, stripe.api_version)
    ]
