"""Events: written together with their effect, signed as Stripe signs, delivered by the outbox."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass

from dev.outbox import Outbox
from dev.payment_simulator.errors import Json, missing
from dev.payment_simulator.store import Store, new_id


@dataclass(frozen=True)
class Call:
    """One request to the API, decoded; without `send_webhook` its events are kept and their webhooks lost."""

    operation: str
    path: str
    target: str | None
    params: Json
    key: str | None
    request_id: str
    api_version: str
    send_webhook: bool = True


def stripe_signature(secret: str, body: str, at: int | None = None) -> str:
    """The `Stripe-Signature` header: HMAC-SHA256 over `<timestamp>.<body>` with the whole secret as key."""
    timestamp = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


class Events:
    """Keeps every event (Stripe's `GET /v1/events`) and queues its delivery."""

    def __init__(self, store: Store, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox

    def emit(self, kind: str, subject: Json, call: Call) -> None:
        """Record an event with a copy of the object as it is now, and queue its webhook."""
        event: Json = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": call.api_version,
            "created": int(time.time()),
            "data": {"object": subject},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": call.request_id, "idempotency_key": call.key},
            "type": kind,
        }
        subject_id = subject["id"] if subject["object"] == "payment_intent" else subject.get("payment_intent")
        self._store.save(event, subject_id)
        if call.send_webhook:
            self._outbox.put_new(event["id"], json.dumps(event))

    def resend(self, event_id: str, delay: float) -> Json:
        """Queue an event again, as the dashboard's “resend” does."""
        event = self._store.find("event", event_id)
        if event is None:
            raise missing("event", event_id, param="id")
        self._outbox.put(event_id, json.dumps(event), delay)
        return event
