"""What becomes of a verified webhook of the payment provider: never believed, at most a reason to ask the provider."""

from functools import lru_cache
from typing import Any, Literal

import structlog
from anyio.to_thread import run_sync
from temporalio.client import Client

from adapters.mysql.payments.flagged_webhooks import FlaggedWebhooks
from adapters.mysql.payments.ledger import Ledger
from adapters.payments.client import api_version
from adapters.settings import Settings
from domain.ids import is_uuid
from domain.ledger import EntryKind
from domain.webhook_amounts import WebhookAmounts, differences
from schemas.provider_events import BRINGS_MONEY, ProviderEvent
from schemas.refunds import FailedRefundInput
from schemas.webhooks import FlaggedWebhook
from temporal_clients.payments import DisputeClient, start_failed_refund, start_orphaned_payment
from temporal_clients.updates import signal_if_running
from workflows.names import payment_workflow_id, refund_workflow_id
from workflows.payments.payment import PaymentWorkflow
from workflows.payments.refunds import RefundWorkflow

Outcome = Literal["applied", "ignored", "known", "flagged"]
# Steps that our own call has been answered with already.
_NOTHING_NEW = frozenset({"payment_intent.created", "payment_intent.requires_action"})
_CONFIRMS = {
    "payment_intent.amount_capturable_updated": EntryKind.AUTHORIZATION,
    "charge.captured": EntryKind.CAPTURE,
    "payment_intent.succeeded": EntryKind.CAPTURE,
    "payment_intent.canceled": EntryKind.VOID,
}
_FAILED = ("failed", "canceled")
_CAPTURED = {"payment_intent": "amount_received", "charge": "amount_captured"}
_log = structlog.get_logger(__name__)


class ProviderEvents:
    """Signals the workflow that an event is about, unless the ledger knows it already, or contradicts it."""

    def __init__(
        self, settings: Settings, client: Client, disputes: DisputeClient, ledger: Ledger, flagged: FlaggedWebhooks
    ) -> None:
        self._settings = settings
        self._client = client
        self._disputes = disputes
        self._ledger = ledger
        self._flagged = flagged

    async def apply(self, webhook: dict[str, Any]) -> Outcome:
        """Signal whom it concerns; answers what was done with it."""
        _note_version(str(webhook.get("api_version") or ""), api_version(self._settings))
        subject = webhook["data"]["object"]
        event = ProviderEvent(
            event_id=webhook["id"],
            type=webhook["type"],
            provider_id=subject.get("payment_intent") or subject["id"],
            amount=subject.get("amount"),
        )
        if event.type.startswith("charge.dispute."):
            await self._disputes.follow(subject["id"], event, self._settings.dispute_reminder_hours)
            return "applied"
        metadata = subject.get("metadata") or {}
        order_id = metadata.get("order_id")
        if not order_id:
            return "ignored"
        if subject.get("object") == "refund":
            return await self._apply_to_refund(order_id, event, subject, metadata.get("refund_id"))
        return await self._apply_to_payment(order_id, event, subject)

    async def _apply_to_refund(
        self, order_id: str, event: ProviderEvent, subject: dict[str, Any], refund_id: str | None
    ) -> Outcome:
        """A refund that fails may have succeeded before, for a workflow that has ended since, or is about to."""
        handle = self._client.get_workflow_handle(refund_workflow_id(str(refund_id)))
        outcome = await signal_if_running(handle.signal(RefundWorkflow.provider_event, event))
        if subject.get("status") not in _FAILED or not await run_sync(self._has_order, order_id):
            return outcome
        if await run_sync(self._ledger.has, subject["id"], EntryKind.REFUND_REVERSAL):
            return "known"
        failed = FailedRefundInput(order_id=order_id, provider_id=subject["id"], refund_id=refund_id)
        await start_failed_refund(self._client, failed, event)
        return "applied"

    async def _apply_to_payment(self, order_id: str, event: ProviderEvent, subject: dict[str, Any]) -> Outcome:
        if await run_sync(self._is_contradicted, order_id, event, subject):
            return "flagged"
        if event.type in _NOTHING_NEW or await run_sync(self._is_known, event):
            return "known"
        handle = self._client.get_workflow_handle(payment_workflow_id(order_id))
        outcome = await signal_if_running(handle.signal(PaymentWorkflow.provider_event, event))
        if outcome == "ignored" and event.type in BRINGS_MONEY and await run_sync(self._has_order, order_id):
            await start_orphaned_payment(self._client, order_id, event)
            return "applied"
        return outcome

    def _has_order(self, order_id: str) -> bool:
        return is_uuid(order_id) and self._ledger.recorded_amounts(order_id, "") is not None

    def _is_known(self, event: ProviderEvent) -> bool:
        """Whether it only confirms a call of our own whose effect stands in the ledger."""
        kind = _CONFIRMS.get(event.type)
        return kind is not None and self._ledger.has(event.provider_id, kind)

    def _is_contradicted(self, order_id: str, event: ProviderEvent, subject: dict[str, Any]) -> bool:
        """Whether its amounts cannot be right; it is then kept for an operator."""
        captured = _CAPTURED.get(subject.get("object", ""))
        booked = self._ledger.recorded_amounts(order_id, event.provider_id) if captured else None
        if captured is None or booked is None:
            return False
        webhook = WebhookAmounts(
            amount=int(subject.get("amount") or 0),
            currency=str(subject.get("currency") or "").upper(),
            captured=int(subject.get(captured) or 0),
            final=event.type == "payment_intent.succeeded",
        )
        found = differences(webhook, booked)
        if found:
            self._flagged.keep(
                FlaggedWebhook(
                    event_id=event.event_id,
                    type=event.type[:100],
                    order_id=order_id,
                    payment_id=event.provider_id[:100],
                    differences=found,
                )
            )
            _log.error(
                "a webhook contradicts the ledger", event_id=event.event_id, order_id=order_id, differences=found
            )
        return bool(found)


@lru_cache(maxsize=32)  # logged once
def _note_version(theirs: str, ours: str) -> None:
    """An event in another version may name things otherwise; the provider itself is asked in ours."""
    if theirs and theirs != ours:
        _log.warning("webhooks come in another version of the provider's API", webhook=theirs, ours=ours)
