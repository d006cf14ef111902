"""Returning funds that the order has no use for: every step examines all sides first and records what it finds."""

from collections.abc import Callable
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.workflow import ParentClosePolicy

from activities.payment_reconciliation import PaymentReconciliationActivities
from activities.payment_repair import PaymentRepairActivities
from activities.payments import PaymentActivities
from domain.actors import SYSTEM_ACTOR
from domain.events import EventType
from domain.payment_facts import PaymentMade
from schemas.payment_reconciliation import CatchUp, Examined, ExaminePayments
from schemas.provider_calls import VoidPayment
from schemas.refunds import RefundInput, RefundStatus
from workflows.names import PAYMENTS_QUEUE, refund_workflow_id
from workflows.options import PROVIDER
from workflows.outage import retry_until_answered
from workflows.payments.provider_calls import call_provider
from workflows.payments.refunds import RefundWorkflow
from workflows.stores import on_store
from workflows.timeline import Timeline, money

_MOST_STEPS = 6  # a void, a refund, and what may still come in between


@dataclass(frozen=True)
class Excess:
    """What is to be returned: what is authorized, or so much of what was captured."""

    authorized: int = 0
    captured: int = 0


@dataclass
class Returned:
    """What was returned, in minor units."""

    voided: int = 0
    refunded: int = 0


class FundsReturn:
    """Works on one payment of one order. The customer is notified of an `orphaned` payment as such."""

    def __init__(self, order_id: str, payment_id: str, timeline: Timeline, actor: str = SYSTEM_ACTOR) -> None:
        self._order_id = order_id
        self._payment_id = payment_id
        self._timeline = timeline
        self._actor = actor
        self.orphaned = False

    async def examine(self) -> Examined:
        """What provider, ledger and order say of it now."""
        command = ExaminePayments(order_id=self._order_id, payment_ids=[self._payment_id] if self._payment_id else [])
        call, text = PaymentReconciliationActivities.examine_payments, "examine the payment"
        return await retry_until_answered(call, command, text, self._timeline, PROVIDER)

    async def run(self, excess_of: Callable[[Examined], Excess]) -> Returned:
        """Void and refund until nothing is in excess; raises ApplicationError where the provider refuses."""
        done = Returned()
        for _ in range(_MOST_STEPS):
            examined = await self.examine()
            payment = examined.payments.get(self._payment_id)
            if payment is None:
                break
            excess = excess_of(examined)
            await self.catch_up(payment)
            if excess.authorized:
                await self._void(excess.authorized, payment)
                done.voided += excess.authorized
            elif excess.captured:
                await self._refund(excess.captured, payment)
                done.refunded += excess.captured
            else:
                return done
        raise ApplicationError("The payment keeps changing while it is returned.", type="payment_keeps_changing")

    async def catch_up(self, payment: PaymentMade) -> None:
        """Record in the ledger what the provider has done."""
        key = workflow.info().workflow_id
        command = CatchUp(payment=payment, key=key, actor=self._actor, orphaned=self.orphaned)
        caught_up = await on_store(
            PaymentRepairActivities.catch_up_ledger, command, "record what the ledger lacks", self._timeline
        )
        for kind, amount in caught_up.recorded:
            self._timeline.add(f"recorded: {kind} of {money(amount, payment.currency)}")

    async def _void(self, amount: int, payment: PaymentMade) -> None:
        command = VoidPayment(
            order_id=self._order_id,
            provider_id=self._payment_id,
            idempotency_key=f"{workflow.info().workflow_id}:void:{self._payment_id}",
        )
        text = f"void {money(amount, payment.currency)}"
        await call_provider(PaymentActivities.void_payment, command, text, self._timeline)
        self._timeline.add(text)

    async def _refund(self, amount: int, payment: PaymentMade) -> None:
        """By a refund like any other, so that staff who refund the same payment cannot refund it twice."""
        refund = RefundInput(
            refund_id=str(workflow.uuid4()),
            order_id=self._order_id,
            amount=amount,
            currency=payment.currency,
            reason="paid after the order had ended" if self.orphaned else "the order has no use for it",
            actor=self._actor,
            payment_id=self._payment_id,
            event_type=EventType.PAYMENT_ORPHAN_RETURNED if self.orphaned else None,
        )
        text = f"refund {money(amount, payment.currency)}"
        answer = await workflow.execute_child_workflow(
            RefundWorkflow.run,
            refund,
            id=refund_workflow_id(refund.refund_id),
            task_queue=PAYMENTS_QUEUE,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=text,
        )
        if answer.refund is None or answer.refund.status is not RefundStatus.SUCCEEDED:
            code = answer.code or (answer.refund and answer.refund.failure_code) or "refund_refused"
            raise ApplicationError(answer.message or f"The refund was refused: {code}.", type=code)
        self._timeline.add(text)
