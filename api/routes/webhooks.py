"""Webhooks in: the signature over the raw body decides who speaks; a receipt makes a replay harmless."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Literal

import stripe
from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError
from temporalio.client import Client

from adapters.mysql.webhooks import WebhookReceipts
from api.deps import AppSettings, Flags, PaymentLedger, Receipts, Temporal
from api.errors import HttpProblem, problems
from api.payment_news import Outcome, PaymentNews, signalled
from api.permissions import public
from domain.fulfilment import ParcelStatus, parcel_of_reference
from schemas.base import Payload
from schemas.fulfilment import CarrierEvent
from workflows.names import fulfilment_workflow_id
from workflows.orders.fulfilment import FulfilmentWorkflow

router_of_carrier = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
router_of_provider = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


# What a carrier cannot know: these are words of our own.
_OURS = frozenset({ParcelStatus.PLANNED, ParcelStatus.ON_HOLD})


class Receipt(Payload):
    """What was done with the delivery; every outcome is a success for the sender."""

    outcome: Literal["applied", "ignored", "known", "flagged", "seen"]


class _Delivery(Payload):
    """One verified delivery: who sent it, and what it is known by."""

    source: Literal["stripe", "carrier"]
    event_id: str
    type: str


class _ShipmentNews(Payload):
    reference: str
    location: str | None = None


class _CarrierBody(Payload):
    type: str
    timestamp: datetime
    data: _ShipmentNews


@router_of_carrier.post("/carrier", dependencies=[public], responses=problems(400, 422, 503))
async def receive_carrier_webhook(
    request: Request, settings: AppSettings, receipts: Receipts, temporal: Temporal
) -> Receipt:
    """The carrier tells of a parcel (Standard Webhooks)."""
    raw = await request.body()
    try:
        webhook = Webhook(settings.carrier_webhook_secret.get_secret_value())
        webhook.verify(raw, dict(request.headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        raise _invalid_signature() from error
    try:
        body = _CarrierBody.model_validate_json(raw)
    except ValidationError as error:
        raise HttpProblem(422, "invalid_request", "This is not an event of a shipment.") from error
    delivery = _Delivery(source="carrier", event_id=request.headers["webhook-id"], type=body.type)
    return await _deal_with(delivery, receipts, lambda: _tell_parcel(temporal, delivery.event_id, body))


@router_of_provider.post("/stripe", dependencies=[public], responses=problems(400, 503))
async def receive_provider_webhook(
    request: Request,
    settings: AppSettings,
    receipts: Receipts,
    temporal: Temporal,
    ledger: PaymentLedger,
    flagged: Flags,
    stripe_signature: Annotated[str, Header()] = "",
) -> Receipt:
    """The payment provider tells of a payment or a dispute (Stripe's signature).

    What the ledger knows already wakes nobody; what contradicts it is kept for somebody to look at.
    """
    raw = await request.body()
    try:
        secret = settings.stripe_webhook_secret.get_secret_value()
        event = stripe.Webhook.construct_event(raw, stripe_signature, secret).to_dict()
    except (stripe.SignatureVerificationError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise _invalid_signature() from error
    delivery = _Delivery(source="stripe", event_id=event["id"], type=event["type"])
    news = PaymentNews(settings, temporal, ledger, flagged)
    return await _deal_with(delivery, receipts, lambda: news.tell(event))


async def _deal_with(delivery: _Delivery, receipts: WebhookReceipts, tell: Callable[[], Awaitable[Outcome]]) -> Receipt:
    """Tell, then note it: a crash in between means a second telling, which workflows recognise by the event's id."""
    if not delivery.event_id.isascii() or len(delivery.event_id) > 255 or not delivery.type.isascii():
        raise HttpProblem(422, "invalid_request", "Ids and types of events are short and plain.")
    if await run_in_threadpool(receipts.seen, delivery.source, delivery.event_id):
        return Receipt(outcome="seen")
    outcome = await tell()
    await run_in_threadpool(receipts.record, delivery.source, delivery.event_id, delivery.type[:100], outcome)
    return Receipt(outcome=outcome)


async def _tell_parcel(temporal: Client, event_id: str, body: _CarrierBody) -> Outcome:
    try:
        order_id, parcel = parcel_of_reference(body.data.reference)
        status = ParcelStatus(body.type.removeprefix("shipment."))
    except ValueError:
        return "ignored"
    if status in _OURS:
        return "ignored"
    event = CarrierEvent(event_id=event_id, status=status, occurred_at=body.timestamp, location=body.data.location)
    handle = temporal.get_workflow_handle(fulfilment_workflow_id(order_id, parcel))
    return await signalled(handle.signal(FulfilmentWorkflow.carrier_event, event))


def _invalid_signature() -> HttpProblem:
    return HttpProblem(400, "invalid_signature", "The signature does not fit the body, or is too old.")
