"""What becomes of a verified webhook of the payment provider: never believed, at most a reason to ask."""

from collections.abc import Awaitable
from functools import lru_cache
from typing import Any, Literal

import structlog
from fastapi.concurrency import run_in_threadpool
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from adapters.mysql.payments.flagged_webhooks import FlaggedWebhooks
from adapters.mysql.payments.ledger import Ledger
from adapters.payments.provider import api_version
from adapters.settings import Settings
from api.dispute_desk import DisputeDesk
from api.ownership import UUID_FORM
from domain.ledger import EntryKind
from domain.webhook_amounts import Told, differences
from schemas.provider_events import BRINGS_MONEY, ProviderEvent
from schemas.refunds import FailedRefundInput
from schemas.webhooks import FlaggedWebhook
from temporal_clients.payments import start_failed_refund, start_orphaned_payment
from workflows.names import payment_workflow_id, refund_workflow_id
from workflows.payments.payment import PaymentWorkflow
from workflows.payments.refunds import RefundWorkflow

Outcome = Literal["applied", "ignored", "known", "flagged"]
# Steps on the way that our own call has answered with already.
_NO_NEWS = frozenset({"payment_intent.created", "payment_intent.requires_action"})
_CONFIRMS = {
    "payment_intent.amount_capturable_updated": EntryKind.AUTHORIZATION,
    "charge.captured": EntryKind.CAPTURE,
    "payment_intent.succeeded": EntryKind.CAPTURE,
    "payment_intent.canceled": EntryKind.VOID,
}
_FAILED = ("failed", "canceled")
_CAPTURED = {"payment_intent": "amount_received", "charge": "amount_captured"}
_log = structlog.get_logger(__name__)


class PaymentNews:
    """Wakes the workflow that an event is about, unless the books know it already, or contradict it."""

    def __init__(self, settings: Settings, temporal: Client, ledger: Ledger, flagged: FlaggedWebhooks) -> None:
        self._settings = settings
        self._temporal = temporal
        self._ledger = ledger
        self._flagged = flagged

    async def tell(self, event: dict[str, Any]) -> Outcome:
        """Pass the event on; answers what was done with it."""
        _note_version(str(event.get("api_version") or ""), api_version(self._settings))
        subject = event["data"]["object"]
        news = ProviderEvent(
            event_id=event["id"],
            type=event["type"],
            provider_id=subject.get("payment_intent") or subject["id"],
            amount=subject.get("amount"),
        )
        if news.type.startswith("charge.dispute."):
            desk = DisputeDesk(self._temporal, self._settings.checkout_answer_seconds)
            await desk.tell(subject["id"], news, self._settings.dispute_reminder_hours)
            return "applied"
        metadata = subject.get("metadata") or {}
        order_id = metadata.get("order_id")
        if not order_id:
            return "ignored"
        if subject.get("object") == "refund":
            return await self._tell_refund(order_id, news, subject, metadata.get("refund_id"))
        return await self._tell_payment(order_id, news, subject)

    async def _tell_refund(
        self, order_id: str, news: ProviderEvent, subject: dict[str, Any], refund_id: str | None
    ) -> Outcome:
        """One that fails may have been called done before, by a workflow that has ended since, or is about to."""
        handle = self._temporal.get_workflow_handle(refund_workflow_id(str(refund_id)))
        outcome = await signalled(handle.signal(RefundWorkflow.provider_event, news))
        if subject.get("status") not in _FAILED or not await run_in_threadpool(self._has_order, order_id):
            return outcome
        if await run_in_threadpool(self._ledger.has, subject["id"], EntryKind.REFUND_REVERSAL):
            return "known"
        failed = FailedRefundInput(order_id=order_id, provider_id=subject["id"], refund_id=refund_id)
        await start_failed_refund(self._temporal, failed, news)
        return "applied"

    async def _tell_payment(self, order_id: str, news: ProviderEvent, subject: dict[str, Any]) -> Outcome:
        if await run_in_threadpool(self._is_contradicted, order_id, news, subject):
            return "flagged"
        if news.type in _NO_NEWS or await run_in_threadpool(self._is_known, news):
            return "known"
        handle = self._temporal.get_workflow_handle(payment_workflow_id(order_id))
        outcome = await signalled(handle.signal(PaymentWorkflow.provider_event, news))
        if outcome == "ignored" and news.type in BRINGS_MONEY and await run_in_threadpool(self._has_order, order_id):
            await start_orphaned_payment(self._temporal, order_id, news)
            return "applied"
        return outcome

    def _has_order(self, order_id: str) -> bool:
        return bool(UUID_FORM.fullmatch(order_id)) and self._ledger.booked(order_id, "") is not None

    def _is_known(self, news: ProviderEvent) -> bool:
        """Whether it only confirms a call of our own whose effect stands in the books."""
        kind = _CONFIRMS.get(news.type)
        return kind is not None and self._ledger.has(news.provider_id, kind)

    def _is_contradicted(self, order_id: str, news: ProviderEvent, subject: dict[str, Any]) -> bool:
        """Whether its amounts cannot be; it is then kept for somebody to look at."""
        captured = _CAPTURED.get(subject.get("object", ""))
        booked = self._ledger.booked(order_id, news.provider_id) if captured else None
        if captured is None or booked is None:
            return False
        told = Told(
            amount=int(subject.get("amount") or 0),
            currency=str(subject.get("currency") or "").upper(),
            captured=int(subject.get(captured) or 0),
            final=news.type == "payment_intent.succeeded",
        )
        found = differences(told, booked)
        if found:
            self._flagged.keep(
                FlaggedWebhook(
                    event_id=news.event_id,
                    type=news.type[:100],
                    order_id=order_id,
                    payment_id=news.provider_id[:100],
                    differences=found,
                )
            )
            _log.error("a webhook contradicts our books", event_id=news.event_id, order_id=order_id, differences=found)
        return bool(found)


@lru_cache(maxsize=32)  # said once
def _note_version(theirs: str, ours: str) -> None:
    """What is told in another version may be worded otherwise; the provider itself is asked in ours."""
    if theirs and theirs != ours:
        _log.warning("webhooks come in another version of the provider's API", webhook=theirs, ours=ours)


async def signalled(signal: Awaitable[None]) -> Literal["applied", "ignored"]:
    """Whether there was a workflow to tell."""
    try:
        await signal
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return "ignored"
    return "applied"
