"""How a payment is recorded: ledger, history, timeline, and the update of the order."""

from temporalio import workflow

from activities.payments import PaymentActivities
from domain.ledger import EntryKind
from domain.orders import PaymentStatus
from schemas.payments import ORDER_CHECK, PaymentInput, PaymentUpdated, RecordDecline, RecordPayment
from schemas.provider_calls import PaymentOutcome, ProviderResult
from workflows.names import PAYMENT_STATUS, PAYMENT_UPDATED
from workflows.signals import signal_if_open
from workflows.stores import on_store
from workflows.timeline import Timeline, money


class PaymentRecorder:
    """Records for one payment; a step is recorded once, however often it runs."""

    def __init__(self, payment: PaymentInput) -> None:
        self._payment = payment
        self.status = PaymentStatus.NOT_PAID
        self.order_has_ended = False
        self.timeline = Timeline(f"Payment of {money(payment.amount, payment.currency)}", payment.order_id)

    @property
    def order_id(self) -> str:
        return self._payment.order_id

    def key(self, step: str) -> str:
        """One key per step: an automatic retry keeps it, so that the step is done once."""
        return f"{workflow.info().workflow_id}:{step}"

    def money(self, amount: int) -> str:
        """An amount in the order's currency, for people."""
        return money(amount, self._payment.currency)

    def show(self, status: PaymentStatus, text: str) -> None:
        """Show the status in the Temporal Web UI; MySQL has it already."""
        self.status = status
        workflow.upsert_search_attributes([PAYMENT_STATUS.value_set(status)])
        self.timeline.add(text)

    async def record(
        self,
        kind: EntryKind,
        step: str,
        amount: int,
        provider_id: str,
        data: dict[str, object] | None = None,
        *,
        fee: int = 0,
    ) -> None:
        """One effect at the provider, and its fee."""
        command = RecordPayment(
            order_id=self.order_id,
            kind=kind,
            amount=amount,
            currency=self._payment.currency,
            provider_id=provider_id,
            idempotency_key=self.key(step),
            fee=fee,
            data=data or {},
        )
        text = f"{kind} of {self.money(amount)}"
        done = await on_store(PaymentActivities.record_payment, command, text, self.timeline)
        self.show(done.payment_status, text)

    async def record_decline(self, step: str, result: ProviderResult) -> None:
        """A decline by the bank."""
        command = RecordDecline(
            order_id=self.order_id,
            idempotency_key=self.key(step),
            code=result.code or "card_declined",
            message=result.message or "The bank declined the payment.",
        )
        await on_store(PaymentActivities.record_decline, command, "declined", self.timeline)
        self.timeline.add(f"declined: `{command.code}` {command.message}")

    async def signal_order(self, step: str, result: ProviderResult, attempt: int) -> None:
        """Signal the order what came of a step; where it has ended, that is noted."""
        update = PaymentUpdated(
            step=step,
            outcome=result.outcome,
            payment_status=self.status,
            amount=result.amount,
            code=result.code,
            message=result.message,
            attempt=attempt,
            action=result.action,
            risk=result.risk,
        )
        await self._signal(update)

    async def check_order(self) -> bool:
        """Whether the order runs: it is signalled a step that it does not wait for."""
        await self._signal(PaymentUpdated(step=ORDER_CHECK, outcome=PaymentOutcome.PENDING, payment_status=self.status))
        return not self.order_has_ended

    async def _signal(self, update: PaymentUpdated) -> None:
        parent = workflow.info().parent
        if parent is None or self.order_has_ended:  # run alone, for instance in a test of this workflow
            return
        if not await signal_if_open(parent.workflow_id, PAYMENT_UPDATED, update):
            self.order_has_ended = True
            self.timeline.add(f"the order has ended and did not learn of `{update.step}`")
