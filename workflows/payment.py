"""PaymentWorkflow owns all money of one order: it holds, captures parcel by parcel, and gives back the rest."""

from temporalio import workflow

from activities.payments import PaymentActivities
from domain.orders import PaymentStatus
from schemas.payments import (
    AuthorizePayment,
    CaptureParcel,
    CapturePayment,
    EntryKind,
    PaymentInput,
    PaymentOutcome,
    PaymentResult,
    PaymentTold,
    ProviderEvent,
    ProviderResult,
    RecordDecline,
    RecordPayment,
    ReleaseHold,
    VoidPayment,
)
from workflows.names import PAYMENT_STATUS, PAYMENT_TOLD
from workflows.options import PROVIDER, STORE
from workflows.timeline import Timeline, money


@workflow.defn
class PaymentWorkflow:
    """authorize → capture per parcel, or void; ends when nothing is held any more."""

    @workflow.init
    def __init__(self, payment: PaymentInput) -> None:
        self._payment = payment
        self._status = PaymentStatus.NOT_PAID
        self._provider_id = ""
        self._held = 0
        self._asked: list[CaptureParcel | ReleaseHold] = []
        self._done_parcels: set[int] = set()
        self._seen_events: set[str] = set()
        self._timeline = Timeline(f"Payment of {money(payment.amount, payment.currency)}")

    @workflow.run
    async def run(self, payment: PaymentInput) -> PaymentResult:
        """Hold the money, then do what the order asks until no money is held."""
        if await self._authorize():
            while self._held > 0:
                await workflow.wait_condition(lambda: bool(self._asked))
                await self._serve(self._asked.pop(0))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return PaymentResult(order_id=payment.order_id, payment_status=self._status)

    @workflow.signal
    def capture(self, parcel: CaptureParcel) -> None:
        """The order asks for a parcel's share, because the parcel has left."""
        self._asked.append(parcel)

    @workflow.signal
    def release(self, hold: ReleaseHold) -> None:
        """The order will not go on."""
        self._asked.append(hold)

    @workflow.signal
    def provider_told(self, event: ProviderEvent) -> None:
        """A verified webhook: what we did ourselves is confirmed, and shown; our own calls stay the truth."""
        if event.event_id not in self._seen_events:
            self._seen_events.add(event.event_id)
            self._timeline.tell(f"provider confirms `{event.type}`")

    async def _authorize(self) -> bool:
        step = "authorize"
        command = AuthorizePayment(
            order_id=self._payment.order_id,
            amount=self._payment.amount,
            currency=self._payment.currency,
            payment_method=self._payment.payment_method,
            idempotency_key=self._key(step),
        )
        result = await workflow.execute_activity_method(
            PaymentActivities.authorize_payment, command, summary="hold the amount", **PROVIDER
        )
        if result.outcome is PaymentOutcome.DECLINED:
            await self._record_decline(step, result)
            return False
        self._provider_id = result.provider_id or ""
        self._held = result.amount
        await self._record(EntryKind.AUTHORIZATION, step, result.amount)
        await self._tell_order(step, result)
        return True

    async def _serve(self, asked: CaptureParcel | ReleaseHold) -> None:
        if isinstance(asked, ReleaseHold):
            await self._void(asked.reason)
        elif asked.parcel not in self._done_parcels:
            await self._capture(asked)

    async def _capture(self, parcel: CaptureParcel) -> None:
        step = f"capture-{parcel.parcel}"
        command = CapturePayment(
            order_id=self._payment.order_id,
            provider_id=self._provider_id,
            amount=min(parcel.amount, self._held),
            currency=self._payment.currency,
            final=parcel.final,
            idempotency_key=self._key(step),
        )
        result = await workflow.execute_activity_method(
            PaymentActivities.capture_payment, command, summary=f"parcel {parcel.parcel} has left", **PROVIDER
        )
        self._done_parcels.add(parcel.parcel)
        self._held -= result.amount
        await self._record(EntryKind.CAPTURE, step, result.amount, {"parcel": parcel.parcel})
        if parcel.final and self._held > 0:
            # The provider lets go of the rest with the final capture; the ledger says so too.
            await self._record(EntryKind.VOID, "release-rest", self._held)
            self._held = 0
        await self._tell_order(step, result)

    async def _void(self, reason: str) -> None:
        step = "void"
        command = VoidPayment(
            order_id=self._payment.order_id, provider_id=self._provider_id, idempotency_key=self._key(step)
        )
        result = await workflow.execute_activity_method(
            PaymentActivities.void_payment, command, summary=f"void: {reason}", **PROVIDER
        )
        await self._record(EntryKind.VOID, step, self._held, {"reason": reason})
        self._held = 0
        await self._tell_order(step, result)

    async def _record(self, kind: EntryKind, step: str, amount: int, data: dict[str, object] | None = None) -> None:
        command = RecordPayment(
            order_id=self._payment.order_id,
            kind=kind,
            amount=amount,
            currency=self._payment.currency,
            provider_id=self._provider_id,
            idempotency_key=self._key(step),
            data=data or {},
        )
        text = f"{kind} of {money(amount, self._payment.currency)}"
        done = await workflow.execute_local_activity_method(
            PaymentActivities.record_payment, command, summary=text, **STORE
        )
        self._status = done.payment_status
        workflow.upsert_search_attributes([PAYMENT_STATUS.value_set(self._status)])
        self._timeline.tell(text)

    async def _record_decline(self, step: str, result: ProviderResult) -> None:
        command = RecordDecline(
            order_id=self._payment.order_id,
            idempotency_key=self._key(step),
            code=result.code or "card_declined",
            message=result.message or "The bank declined the payment.",
        )
        await workflow.execute_local_activity_method(
            PaymentActivities.record_decline, command, summary="declined", **STORE
        )
        self._timeline.tell(f"declined: `{command.code}` {command.message}")
        await self._tell_order(step, result)

    async def _tell_order(self, step: str, result: ProviderResult) -> None:
        parent = workflow.info().parent
        if parent is None:  # run alone, for instance in a test of this workflow
            return
        told = PaymentTold(
            step=step,
            outcome=result.outcome,
            payment_status=self._status,
            amount=result.amount,
            code=result.code,
            message=result.message,
        )
        await workflow.get_external_workflow_handle(parent.workflow_id).signal(PAYMENT_TOLD, told)

    def _key(self, step: str) -> str:
        """One key per step: an automatic retry keeps it, so the provider does the step once."""
        return f"{workflow.info().workflow_id}:{step}"
