"""RefundWorkflow gives captured money back, once: noted before it moves, booked after."""

import itertools
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.refunds import RefundActivities
from schemas.base import Money
from schemas.payments import PaymentOutcome, ProviderResult, RefundPayment, RetrieveRefund
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
from workflows.options import PROVIDER, STORE
from workflows.outage import retry_until_answered
from workflows.payments.provider_calls import call_provider
from workflows.payments.provider_events import ProviderEventInbox
from workflows.reasons import Reason, reason_of
from workflows.timeline import Timeline, money
from workflows.waiting import run_to_completion, wait_until

# The provider tells when a refund comes to its end; should that get lost, it is asked, ever more seldom.
_FIRST_LOOK, _SELDOMEST_LOOK = timedelta(minutes=1), timedelta(days=1)


@workflow.defn
class RefundWorkflow:
    """note → give back, to the card what came of it and the rest as store credit → book.

    What was asked for too much, or refused by the provider, is an answer and no failure.
    """

    @workflow.init
    def __init__(self, refund: RefundInput) -> None:
        self._refund = refund
        self._timeline = Timeline("Refund")
        self._key = f"{workflow.info().workflow_id}:refund"
        self._news = ProviderEventInbox(self._timeline)

    @workflow.run
    async def run(self, refund: RefundInput) -> RefundAnswer:
        """Give it back, or say why not; what is promised comes to its end."""
        return await run_to_completion(self._give_back_or_refuse(refund), self._timeline.add)

    async def _give_back_or_refuse(self, refund: RefundInput) -> RefundAnswer:
        try:
            opened = await workflow.execute_local_activity_method(
                RefundActivities.open_refund, refund, summary="note what is to be given back", **STORE
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            return _answer_of(reason_of(error))
        text = money(opened.refund.amount.amount, opened.refund.amount.currency)
        self._timeline.add(f"{text} by {refund.actor}: {refund.reason}")
        return RefundAnswer(refund=await self._settle(await self._give_back(opened)))

    @workflow.signal
    def provider_event(self, event: ProviderEvent) -> None:
        """A verified webhook about this refund."""
        self._news.hear(event)

    async def _give_back(self, opened: RefundOpened) -> list[PartSettled]:
        """Part by part; after a refusal nothing more is given back."""
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
            result = await call_provider(RefundActivities.refund_payment, command, f"give back {text}", self._timeline)
            return await self._until_certain(result) if result.outcome is PaymentOutcome.PENDING else result
        except FailureError as error:
            # It calls our request wrong, so it has done nothing: what is promised here must not stay promised.
            if is_cancelled_exception(error):
                raise
            refusal = reason_of(error)
            workflow.logger.error("the provider does not understand a refund", extra={"code": refusal.code})
            return ProviderResult(outcome=PaymentOutcome.DECLINED, code=refusal.code, message=refusal.message)

    async def _until_certain(self, result: ProviderResult) -> ProviderResult:
        """The bank takes its time: days, perhaps. Until then the money is promised and not booked."""
        self._timeline.add("the bank has yet to accept it")
        look = RetrieveRefund(order_id=self._refund.order_id, provider_id=result.provider_id or "")
        for times in itertools.count():
            again = workflow.now() + min(_FIRST_LOOK * 2 ** min(times, 12), _SELDOMEST_LOOK)
            await wait_until(again, lambda: self._news.unread, "before the provider is asked")
            self._news.take()
            deed, text = RefundActivities.retrieve_refund, "ask how the refund stands"
            result = await retry_until_answered(deed, look, text, self._timeline, PROVIDER)
            if result.outcome is not PaymentOutcome.PENDING:
                return result
        raise AssertionError  # it counts for ever

    async def _settle(self, parts: list[PartSettled]) -> RefundView:
        refused = any(part.failure_code for part in parts)
        command = SettleRefund(
            refund_id=self._refund.refund_id,
            order_id=self._refund.order_id,
            idempotency_key=self._key,
            parts=parts,
            event_type=self._refund.event_type,
        )
        settled = await workflow.execute_local_activity_method(
            RefundActivities.settle_refund, command, summary="note the refusal" if refused else "book it", **STORE
        )
        self._timeline.add(f"{settled.status}")
        return settled


def _answer_of(refusal: Reason) -> RefundAnswer:
    left = refusal.details.get("refundable")
    return RefundAnswer(
        code=refusal.code, message=refusal.message, refundable=Money.model_validate(left) if left else None
    )
