"""Webhook events of the payment provider."""

from schemas.base import Payload

BRINGS_MONEY = frozenset(
    {"payment_intent.amount_capturable_updated", "payment_intent.succeeded", "charge.captured", "charge.succeeded"}
)
"""The event types of money authorized or captured."""


class ProviderEvent(Payload):
    """A verified webhook of the provider."""

    event_id: str
    type: str
    provider_id: str
    amount: int | None = None
