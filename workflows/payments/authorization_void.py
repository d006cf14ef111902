"""AuthorizationVoidWorkflow voids what an order has authorized when its PaymentWorkflow has failed and cannot."""

from collections.abc import Sequence
from functools import partial

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.credit import CreditActivities
from activities.payments import PaymentActivities
from domain.credit import OrderCredit, spread
from domain.payment_facts import PaymentMade
from schemas.credit import CaptureCredit, VoidCredit
from schemas.payment_reconciliation import Examined
from schemas.payments import VoidAuthorizations
from schemas.provider_calls import CapturePayment, PaymentOutcome
from workflows.payments.provider_calls import call_provider
from workflows.payments.return_funds import Excess, FundsReturn
from workflows.stores import on_store
from workflows.timeline import Timeline, money
from workflows.waiting import run_to_completion


@workflow.defn
class AuthorizationVoidWorkflow:
    """examine → capture what was dispatched and is not → void what is authorized → record that → void store credit.

    It knows the payments in our ledger. An authorization that was never recorded is found by the reconciliation.
    """

    @workflow.init
    def __init__(self, order: VoidAuthorizations) -> None:
        self._order = order
        self._timeline = Timeline(f"Authorizations of order {order.order_id}", order.order_id)

    @workflow.run
    async def run(self, order: VoidAuthorizations) -> None:
        """Void all of it; raises ApplicationError where the provider refuses."""
        await run_to_completion(self._void(order), self._timeline.add)

    async def _void(self, order: VoidAuthorizations) -> None:
        examined = await FundsReturn(order.order_id, "", self._timeline).examine()
        await self._capture_dispatched(examined)
        for payment_id in sorted(examined.payments):
            funds_return = FundsReturn(order.order_id, payment_id, self._timeline)
            await funds_return.run(partial(_authorized, payment_id))
        command = VoidCredit(
            order_id=order.order_id,
            idempotency_key=f"{workflow.info().workflow_id}:void-credit",
            reason=order.reason,
        )
        await on_store(CreditActivities.void_credit, command, "void store credit", self._timeline)
        self._timeline.add("nothing is authorized any more")

    async def _capture_dispatched(self, examined: Examined) -> None:
        """What was dispatched, less what was captured of the whole order: by card first, as ever."""
        payments = [payment for _, payment in sorted(examined.payments.items()) if payment is not None]
        credit = examined.ledger.credit if examined.ledger is not None else OrderCredit()
        captured = sum(payment.captured for payment in payments) + credit.captured
        missing = sum(self._order.dispatched.values()) - captured
        if missing <= 0:
            return
        limits = [*(payment.held for payment in payments), credit.held]
        if missing > sum(limits):
            message = f"{missing - sum(limits)} minor units of what was dispatched are not authorized any more."
            raise ApplicationError(message, type="capture_declined", non_retryable=True)
        *by_card, by_credit = spread(missing, limits)
        await self._capture_cards(payments, by_card)
        if by_credit:
            await self._capture_credit(by_credit)

    async def _capture_cards(self, payments: Sequence[PaymentMade], amounts: Sequence[int]) -> None:
        for payment, amount in zip(payments, amounts, strict=True):
            if not amount:
                continue
            command = CapturePayment(
                order_id=self._order.order_id,
                provider_id=payment.provider_id,
                amount=amount,
                currency=payment.currency,
                final=True,
                captured=payment.captured,
                idempotency_key=self._key(f"capture:{payment.provider_id}"),
            )
            text = f"capture {money(amount, payment.currency)}, which was dispatched"
            result = await call_provider(PaymentActivities.capture_payment, command, text, self._timeline)
            if result.outcome is not PaymentOutcome.SUCCEEDED:
                message = f"What was dispatched could not be captured: {result.message}"
                raise ApplicationError(message, type="capture_declined", non_retryable=True)
            self._timeline.add(text)

    async def _capture_credit(self, amount: int) -> None:
        command = CaptureCredit(
            order_id=self._order.order_id,
            idempotency_key=self._key("capture-credit"),
            amount=amount,
            parcel=max(self._order.dispatched),
        )
        await on_store(CreditActivities.capture_credit, command, "capture store credit", self._timeline)

    def _key(self, step: str) -> str:
        """Of this run alone: a declined capture is tried again under another key. It is the name of a step as well."""
        info = workflow.info()
        return f"{info.workflow_id}:{info.run_id[:8]}:{step}"


def _authorized(payment_id: str, examined: Examined) -> Excess:
    payment = examined.payments[payment_id]
    assert payment is not None, "it was found by the first look"
    return Excess(authorized=payment.held)
