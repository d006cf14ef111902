"""PaymentRepairWorkflow carries out an operator's decision about a difference found by the reconciliation."""

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.payment_repair import PaymentRepairActivities
from activities.payments import PaymentActivities
from domain.reconciliation import Difference, DifferenceKind, DifferenceStatus, Repair
from schemas.operator_tasks import OperatorTaskCode
from schemas.payment_reconciliation import (
    CorrectStatus,
    DecideDifference,
    DecisionAnswer,
    Examined,
    PaymentDifference,
    SettleDifference,
)
from schemas.provider_calls import CapturePayment
from workflows.payments.provider_calls import call_provider
from workflows.payments.return_funds import Excess, FundsReturn
from workflows.reasons import reason_of
from workflows.stores import on_store
from workflows.timeline import Timeline, money
from workflows.waiting import run_to_completion

_REPAIRED, _RESOLVED, _OPEN = DifferenceStatus.REPAIRED, DifferenceStatus.RESOLVED_ITSELF, DifferenceStatus.OPEN


@workflow.defn
class PaymentRepairWorkflow:
    """record the decision → examine → repair → examine again; a difference that no longer exists closes by itself."""

    @workflow.init
    def __init__(self, decision: DecideDifference) -> None:
        self._decision = decision
        self._timeline = Timeline(f"Difference {decision.difference_id}: {decision.action}")

    @workflow.run
    async def run(self, decision: DecideDifference) -> DecisionAnswer:
        """Carry out the decision, or answer why not."""
        return await run_to_completion(self._carry_out(decision), self._timeline.add)

    async def _carry_out(self, decision: DecideDifference) -> DecisionAnswer:
        self._timeline.add(f"{decision.actor}: {decision.reason}")
        try:
            difference = await on_store(
                PaymentRepairActivities.decide_difference, decision, "record the decision", self._timeline
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            refusal = reason_of(error)
            return DecisionAnswer(code=refusal.code, message=refusal.message)
        if difference.status is DifferenceStatus.REPAIRING:
            difference = await self._settle(difference)
        self._timeline.add(f"difference is {difference.status}")
        return DecisionAnswer(difference=difference)

    async def _settle(self, difference: PaymentDifference) -> PaymentDifference:
        try:
            status, note = await self._repair(difference), None
            if status is _OPEN:
                note = "The difference still exists after its repair."
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            status, note = _OPEN, reason_of(error).message[:500]
            self._timeline.of_order(difference.order_id)
            self._timeline.needs_operator(
                [note],
                code=OperatorTaskCode.PAYMENT_DIFFERENCE,
                route="GET /v1/ops/reconciliation/payments",
                outlasts=True,
            )
        command = SettleDifference(difference_id=difference.id, status=status, note=note)
        return await on_store(
            PaymentRepairActivities.settle_difference, command, f"difference is {status}", self._timeline
        )

    async def _repair(self, difference: PaymentDifference) -> DifferenceStatus:
        funds_return = FundsReturn(
            difference.order_id, difference.payment_id or "", self._timeline, self._decision.actor
        )
        examined = await funds_return.examine()
        found = _same(examined, difference)
        if found is None:
            return _RESOLVED
        funds_return.orphaned = found.orphaned
        if found.repair in (Repair.VOID_AUTHORIZATION, Repair.REFUND_CAPTURE):
            await funds_return.run(lambda now: _excess(now, difference))
        elif found.repair is Repair.CORRECT_STATUS:
            await self._correct_status(difference)
        elif found.repair is Repair.CAPTURE_AUTHORIZATION:
            await self._capture(found, examined)
        payment = (await funds_return.examine()).payments.get(found.payment_id or "")
        if payment is not None:
            await funds_return.catch_up(payment)
        return _OPEN if _same(await funds_return.examine(), difference) else _REPAIRED

    async def _correct_status(self, difference: PaymentDifference) -> None:
        command = CorrectStatus(
            order_id=difference.order_id,
            idempotency_key=f"{workflow.info().workflow_id}:status",
            actor=self._decision.actor,
        )
        await on_store(
            PaymentRepairActivities.correct_payment_status,
            command,
            "set the status to the ledger's sums",
            self._timeline,
        )

    async def _capture(self, found: Difference, examined: Examined) -> None:
        payment = examined.payments[found.payment_id or ""]
        assert payment is not None
        command = CapturePayment(
            order_id=payment.order_id,
            provider_id=payment.provider_id,
            amount=found.repair_amount,
            currency=payment.currency,
            final=True,
            captured=payment.captured,
            idempotency_key=f"{workflow.info().workflow_id}:capture",
        )
        text = f"capture {money(found.repair_amount, payment.currency)}"
        await call_provider(PaymentActivities.capture_payment, command, text, self._timeline)
        self._timeline.add(text)


def _same(examined: Examined, difference: PaymentDifference) -> Difference | None:
    identity = (difference.kind, difference.effect, difference.subject)
    return next(
        (found for found in examined.differences if (found.kind, found.effect, found.subject) == identity), None
    )


def _excess(examined: Examined, difference: PaymentDifference) -> Excess:
    of_payment = [found for found in examined.differences if found.payment_id == difference.payment_id]
    amounts = {found.kind: found.repair_amount for found in of_payment}
    return Excess(
        authorized=amounts.get(DifferenceKind.ORPHANED_AUTHORIZATION, 0),
        captured=amounts.get(DifferenceKind.ORPHANED_CAPTURE, 0),
    )
