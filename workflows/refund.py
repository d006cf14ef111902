"""RefundWorkflow gives captured money back, once: noted before it moves, booked after."""

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.refunds import RefundActivities
from schemas.base import Money
from schemas.payments import PaymentOutcome, ProviderResult, RefundPayment
from schemas.refunds import RefundAnswer, RefundInput, RefundOpened, RefundView, SettleRefund
from workflows.options import STORE
from workflows.provider_calls import call_provider
from workflows.reasons import Reason, reason_of
from workflows.timeline import Timeline, money


@workflow.defn
class RefundWorkflow:
    """note → give back → book. What was asked for too much, or refused by the provider, is an answer and no failure."""

    @workflow.init
    def __init__(self, refund: RefundInput) -> None:
        self._refund = refund
        self._timeline = Timeline("Refund")
        self._key = f"{workflow.info().workflow_id}:refund"

    @workflow.run
    async def run(self, refund: RefundInput) -> RefundAnswer:
        """Give it back, or say why not."""
        try:
            opened = await workflow.execute_local_activity_method(
                RefundActivities.open_refund, refund, summary="note what is to be given back", **STORE
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            return _answer_of(reason_of(error))
        return RefundAnswer(refund=await self._settle(await self._give_back(opened)))

    async def _give_back(self, opened: RefundOpened) -> ProviderResult:
        text = money(opened.refund.amount.amount, opened.refund.amount.currency)
        self._timeline.tell(f"{text} by {self._refund.actor}: {self._refund.reason}")
        command = RefundPayment(
            order_id=self._refund.order_id,
            provider_id=opened.provider_id,
            refund_id=self._refund.refund_id,
            amount=opened.refund.amount.amount,
            idempotency_key=self._key,
        )
        try:
            return await call_provider(RefundActivities.refund_payment, command, f"give back {text}", self._timeline)
        except FailureError as error:
            # It calls our request wrong, so it has done nothing: what is promised here must not stay promised.
            if is_cancelled_exception(error):
                raise
            refusal = reason_of(error)
            workflow.logger.error("the provider does not understand a refund", extra={"code": refusal.code})
            return ProviderResult(outcome=PaymentOutcome.DECLINED, code=refusal.code, message=refusal.message)

    async def _settle(self, result: ProviderResult) -> RefundView:
        succeeded = result.outcome is PaymentOutcome.SUCCEEDED
        command = SettleRefund(
            refund_id=self._refund.refund_id,
            order_id=self._refund.order_id,
            idempotency_key=self._key,
            provider_id=result.provider_id if succeeded else None,
            failure_code=None if succeeded else result.code or "refund_refused",
        )
        settled = await workflow.execute_local_activity_method(
            RefundActivities.settle_refund, command, summary="book it" if succeeded else "note the refusal", **STORE
        )
        self._timeline.tell("given back" if succeeded else f"refused: `{result.code}` {result.message}")
        return settled


def _answer_of(refusal: Reason) -> RefundAnswer:
    left = refusal.details.get("refundable")
    return RefundAnswer(
        code=refusal.code, message=refusal.message, refundable=Money.model_validate(left) if left else None
    )
