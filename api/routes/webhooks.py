"""Incoming webhooks: the signature over the raw body says who sent it; a receipt makes a replay harmless."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Literal

import stripe
from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from adapters.mysql.webhooks import WebhookReceipts
from api.deps import AppSettings, CarrierWebhooks, ProviderWebhooks, Receipts
from api.errors import HttpProblem, problems
from api.permissions import public
from domain.errors import InvalidRequest
from domain.fulfilment import ParcelStatus, parcel_of_reference
from schemas.base import Payload
from schemas.fulfilment import CarrierEvent
from schemas.problem_codes import ProblemCode
from temporal_clients.orders import CarrierEvents
from temporal_clients.provider_events import Outcome

router_of_carrier = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
router_of_provider = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

# Statuses that only we give, and no carrier.
_OURS = frozenset({ParcelStatus.PLANNED, ParcelStatus.ON_HOLD})
_LONGEST_STATUS, _LONGEST_LOCATION = 64, 500


class Receipt(Payload):
    """What was done with the webhook; every outcome is a success for its sender."""

    outcome: Literal["applied", "ignored", "known", "flagged", "seen"]


class _Delivery(Payload):
    """One verified webhook: who sent it, and its id."""

    source: Literal["stripe", "carrier"]
    event_id: str
    type: str


class _Shipment(Payload):
    reference: str
    location: str | None = None


class _CarrierBody(Payload):
    type: str
    timestamp: datetime
    data: _Shipment


@router_of_carrier.post("/carrier", dependencies=[public], responses=problems(400, 422, 503))
async def receive_carrier_webhook(
    request: Request, settings: AppSettings, receipts: Receipts, events: CarrierWebhooks
) -> Receipt:
    """An event of a parcel, sent by the carrier (Standard Webhooks)."""
    raw = await request.body()
    try:
        webhook = Webhook(settings.carrier_webhook_secret.get_secret_value())
        webhook.verify(raw, dict(request.headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        raise _invalid_signature() from error
    try:
        body = _CarrierBody.model_validate_json(raw)
    except ValidationError as error:
        raise HttpProblem(422, InvalidRequest.code, "The body is not an event of a shipment.") from error
    delivery = _Delivery(source="carrier", event_id=request.headers["webhook-id"], type=body.type)
    return await _apply_once(delivery, receipts, lambda: _apply_to_parcel(events, delivery.event_id, body))


@router_of_provider.post("/stripe", dependencies=[public], responses=problems(400, 503))
async def receive_provider_webhook(
    request: Request,
    settings: AppSettings,
    receipts: Receipts,
    events: ProviderWebhooks,
    stripe_signature: Annotated[str, Header()] = "",
) -> Receipt:
    """An event of a payment or a dispute, sent by the payment provider (Stripe's signature).

    What the ledger knows already is not passed on; what contradicts it is kept for an operator.
    """
    raw = await request.body()
    try:
        secret = settings.stripe_webhook_secret.get_secret_value()
        event = stripe.Webhook.construct_event(raw, stripe_signature, secret).to_dict()
    except (stripe.SignatureVerificationError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise _invalid_signature() from error
    delivery = _Delivery(source="stripe", event_id=event["id"], type=event["type"])
    return await _apply_once(delivery, receipts, lambda: events.apply(event))


async def _apply_once(
    delivery: _Delivery, receipts: WebhookReceipts, apply: Callable[[], Awaitable[Outcome]]
) -> Receipt:
    """Apply, then record: after a crash in between it is applied again, which workflows recognise by the event's id."""
    if not delivery.event_id.isascii() or len(delivery.event_id) > 255 or not delivery.type.isascii():
        raise HttpProblem(422, InvalidRequest.code, "Ids and types of events are short ASCII texts.")
    if await run_in_threadpool(receipts.seen, delivery.source, delivery.event_id):
        return Receipt(outcome="seen")
    outcome = await apply()
    await run_in_threadpool(receipts.record, delivery.source, delivery.event_id, delivery.type[:100], outcome)
    return Receipt(outcome=outcome)


async def _apply_to_parcel(events: CarrierEvents, event_id: str, body: _CarrierBody) -> Outcome:
    """A status we do not know is passed on as well: it is noted with the parcel, and moves nothing."""
    subject, _, status = body.type.partition(".")
    try:
        order_id, parcel = parcel_of_reference(body.data.reference)
    except ValueError:
        return "ignored"
    if subject != "shipment" or not status or status in _OURS:
        return "ignored"
    location = body.data.location[:_LONGEST_LOCATION] if body.data.location else None
    known = ParcelStatus(status) if status in set(ParcelStatus) else None
    event = CarrierEvent(
        event_id=event_id,
        status=known,
        carrier_status=status[:_LONGEST_STATUS] if known is None else None,
        occurred_at=body.timestamp,
        location=location,
    )
    return await events.apply(order_id, parcel, event)


def _invalid_signature() -> HttpProblem:
    return HttpProblem(400, ProblemCode.INVALID_SIGNATURE, "The signature does not match the body, or is too old.")
