"""RefundWorkflow refunds captured money once: noted before it moves, recorded after."""

import itertools
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.refunds import RefundActivities
from schemas.base import Money
from schemas.provider_calls import PaymentOutcome, ProviderResult, RefundPayment, RetrieveRefund
from schemas.provider_events import ProviderEvent
from schemas.refunds import (
    CardPart,
    PartSettled,
    RefundAnswer,
    RefundInput,
    RefundOpened,
    RefundView,
    SettleRefund,
    part_key,
)
from workflows.options import PROVIDER
from workflows.outage import retry_until_answered
from workflows.payments.provider_calls import call_provider
from workflows.payments.provider_events import ProviderEventInbox
from workflows.reasons import Reason, reason_of
from workflows.stores import on_store
from workflows.timeline import Timeline, money
from workflows.waiting import run_to_completion, wait_until

# A webhook says when a refund has ended; should that get lost, the provider is asked at growing intervals.
_FIRST_CHECK, _LAST_CHECKS = timedelta(minutes=1), timedelta(days=1)


@workflow.defn
class RefundWorkflow:
    """note → refund, to the card what was paid by card and the rest as store credit → record.

    An amount above what can be refunded, or a refusal by the provider, is an answer and no failure.
    """

    @workflow.init
    def __init__(self, refund: RefundInput) -> None:
        self._refund = refund
        self._timeline = Timeline("Refund", refund.order_id)
        self._key = f"{workflow.info().workflow_id}:refund"
        self._events = ProviderEventInbox(self._timeline)

    @workflow.run
    async def run(self, refund: RefundInput) -> RefundAnswer:
        """Refund, or answer why not; a refund that was promised is completed."""
        return await run_to_completion(self._refund_or_refuse(refund), self._timeline.add)

    async def _refund_or_refuse(self, refund: RefundInput) -> RefundAnswer:
        try:
            opened = await on_store(RefundActivities.open_refund, refund, "note the refund", self._timeline)
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            return _answer_of(reason_of(error))
        text = money(opened.refund.amount.amount, opened.refund.amount.currency)
        self._timeline.add(f"{text} by {refund.actor}: {refund.reason}")
        return RefundAnswer(refund=await self._settle(await self._refund_parts(opened)))

    @workflow.signal
    def provider_event(self, event: ProviderEvent) -> None:
        """A verified webhook about this refund."""
        self._events.receive(event)

    async def _refund_parts(self, opened: RefundOpened) -> list[PartSettled]:
        """Part by part; after a refusal nothing more is refunded."""
        settled: list[PartSettled] = []
        for part in opened.card_parts:
            result = await self._to_card(part, money(part.amount, opened.refund.amount.currency))
            if result.outcome is PaymentOutcome.SUCCEEDED:
                settled.append(PartSettled(number=part.number, provider_id=result.provider_id))
                continue
            self._timeline.add(f"refused: `{result.code}` {result.message}")
            settled.append(PartSettled(number=part.number, failure_code=result.code or "refund_refused"))
            break
        return settled

    async def _to_card(self, part: CardPart, text: str) -> ProviderResult:
        command = RefundPayment(
            order_id=self._refund.order_id,
            provider_id=part.provider_id,
            refund_id=self._refund.refund_id,
            amount=part.amount,
            idempotency_key=part_key(self._key, part.number),
        )
        try:
            result = await call_provider(RefundActivities.refund_payment, command, f"refund {text}", self._timeline)
            return await self._until_certain(result) if result.outcome is PaymentOutcome.PENDING else result
        except FailureError as error:
            # The provider rejected the request, so nothing was refunded: the promised amount must become free again.
            if is_cancelled_exception(error):
                raise
            refusal = reason_of(error)
            workflow.logger.error("the provider rejected a refund as invalid", extra={"code": refusal.code})
            return ProviderResult(outcome=PaymentOutcome.DECLINED, code=refusal.code, message=refusal.message)

    async def _until_certain(self, result: ProviderResult) -> ProviderResult:
        """The bank may take days. Until then the amount is promised and not recorded."""
        self._timeline.add("the bank has not accepted it yet")
        command = RetrieveRefund(order_id=self._refund.order_id, provider_id=result.provider_id or "")
        for times in itertools.count():
            next_check = workflow.now() + min(_FIRST_CHECK * 2 ** min(times, 12), _LAST_CHECKS)
            await wait_until(next_check, lambda: self._events.unread, "before the refund is retrieved")
            self._events.take()
            call, text = RefundActivities.retrieve_refund, "retrieve the refund"
            result = await retry_until_answered(call, command, text, self._timeline, PROVIDER)
            if result.outcome is not PaymentOutcome.PENDING:
                return result
        raise AssertionError  # the count has no end

    async def _settle(self, parts: list[PartSettled]) -> RefundView:
        refused = any(part.failure_code for part in parts)
        command = SettleRefund(
            refund_id=self._refund.refund_id,
            order_id=self._refund.order_id,
            idempotency_key=self._key,
            parts=parts,
            event_type=self._refund.event_type,
        )
        settled = await on_store(
            RefundActivities.settle_refund,
            command,
            "record the refusal" if refused else "record the refund",
            self._timeline,
        )
        self._timeline.add(f"{settled.status}")
        return settled


def _answer_of(refusal: Reason) -> RefundAnswer:
    refundable = refusal.details.get("refundable")
    return RefundAnswer(
        code=refusal.code, message=refusal.message, refundable=Money.model_validate(refundable) if refundable else None
    )
