"""PaymentWorkflow owns all money of one order: it holds, captures parcel by parcel, and gives back the rest."""

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow

from activities.payments import PaymentActivities
from domain.ledger import EntryKind
from domain.orders import PaymentStatus
from schemas.payments import (
    AbandonPayment,
    AuthorizePayment,
    CaptureParcel,
    CapturePayment,
    LookAtPayment,
    PaymentInput,
    PaymentOutcome,
    PaymentResult,
    PaymentTold,
    ProviderEvent,
    ProviderResult,
    RecordDecline,
    RecordPayment,
    ReleaseHold,
    TryMethod,
    VoidPayment,
)
from workflows.names import PAYMENT_STATUS, PAYMENT_TOLD
from workflows.options import PROVIDER, STORE
from workflows.provider_calls import C, call_provider
from workflows.timeline import Timeline, money


@workflow.defn
class PaymentWorkflow:
    """authorize, by as many methods as it takes and one at a time → capture per parcel, or void; ends when no money is
    held and none can be any more.
    """

    @workflow.init
    def __init__(self, payment: PaymentInput) -> None:
        self._payment = payment
        self._status = PaymentStatus.NOT_PAID
        self._method = payment.first
        self._provider_id = ""
        self._held = self._captured = 0
        self._bank_waits_until: datetime | None = None
        self._over = False
        self._asked: list[TryMethod | CaptureParcel | ReleaseHold] = []
        self._done_parcels: set[int] = set()
        self._seen_events: set[str] = set()
        self._news_of: set[str] = set()
        self._timeline = Timeline(f"Payment of {money(payment.amount, payment.currency)}")

    @workflow.run
    async def run(self, payment: PaymentInput) -> PaymentResult:
        """Hold the money, then do what the order asks until no money is held."""
        await self._authorize(payment.first)
        while not self._over:
            in_time = await self._something_happens()
            if self._asked:
                await self._serve(self._asked.pop(0))
            else:
                await self._follow(give_up=not in_time)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return PaymentResult(order_id=payment.order_id, payment_status=self._status)

    @workflow.signal
    def try_method(self, method: TryMethod) -> None:
        """The customer gives another method, because the last one was refused or its bank takes too long."""
        self._asked.append(method)

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
        """A verified webhook. It is never believed: at most it is a reason to ask the provider."""
        if event.event_id not in self._seen_events:
            self._seen_events.add(event.event_id)
            self._news_of.add(event.provider_id)
            self._timeline.tell(f"provider tells of `{event.type}`")

    # --- holding the money

    async def _authorize(self, method: TryMethod) -> None:
        self._method = method
        command = AuthorizePayment(
            order_id=self._payment.order_id,
            amount=self._payment.amount,
            currency=self._payment.currency,
            payment_method=method.payment_method,
            return_url=method.return_url,
            idempotency_key=self._key(self._step),
        )
        result = await self._at_provider(PaymentActivities.authorize_payment, command, "hold the amount")
        self._provider_id = result.provider_id or ""
        if result.outcome is PaymentOutcome.ACTION_REQUIRED:
            await self._wait_for_bank(result)
        else:
            await self._conclude(result)

    async def _wait_for_bank(self, result: ProviderResult) -> None:
        self._bank_waits_until = workflow.now() + timedelta(seconds=self._method.authentication_seconds)
        self._timeline.tell("the bank wants to see its customer")
        assert result.action is not None
        action = result.action.model_copy(update={"expires_at": self._bank_waits_until})
        await self._tell_order(self._step, result.model_copy(update={"action": action}))

    async def _follow(self, *, give_up: bool) -> None:
        """Ask the provider what became of the customer's visit to their bank, and go by its answer alone."""
        self._news_of.discard(self._provider_id)
        if give_up:
            end = AbandonPayment(
                order_id=self._payment.order_id,
                provider_id=self._provider_id,
                idempotency_key=self._key(f"{self._step}:abandon"),
            )
            result = await self._at_provider(PaymentActivities.abandon_payment, end, "stop waiting for the bank")
        else:
            look = LookAtPayment(order_id=self._payment.order_id, provider_id=self._provider_id)
            result = await workflow.execute_activity_method(
                PaymentActivities.look_at_payment, look, summary="ask how the payment stands", **PROVIDER
            )
        if result.outcome is not PaymentOutcome.ACTION_REQUIRED:
            await self._conclude(result)

    async def _conclude(self, result: ProviderResult) -> None:
        """The attempt has come to its end: the money is held, or it was refused."""
        self._bank_waits_until = None
        step = self._step
        if result.outcome is PaymentOutcome.SUCCEEDED:
            self._held = result.amount
            await self._record(EntryKind.AUTHORIZATION, step, result.amount)
        else:
            if result.amount:
                await self._record(EntryKind.AUTHORIZATION, step, result.amount)
                await self._record(EntryKind.VOID, f"{step}:abandon", result.amount)
            await self._record_decline(f"{step}:declined", result)
            self._over = not self._payment.may_retry
        await self._tell_order(step, result)

    # --- what the order asks

    async def _something_happens(self) -> bool:
        """Wait for the order, or for news of the customer's bank; False when the bank has had its time."""
        if self._bank_waits_until is None:
            await workflow.wait_condition(lambda: bool(self._asked))
            return True
        left = self._bank_waits_until - workflow.now()
        try:
            await workflow.wait_condition(
                lambda: bool(self._asked) or self._provider_id in self._news_of,
                timeout=max(left, timedelta(0)),
                timeout_summary="the customer confirms with their bank",
            )
        except TimeoutError:
            return False
        return True

    async def _serve(self, asked: TryMethod | CaptureParcel | ReleaseHold) -> None:
        if isinstance(asked, CaptureParcel):
            if asked.parcel not in self._done_parcels:
                await self._capture(asked)
            return
        if self._bank_waits_until is not None:
            await self._follow(give_up=True)  # before anything else is held, so that it is never held twice
        if isinstance(asked, ReleaseHold):
            if self._held:
                await self._void(asked.reason)
            self._over = True
        elif not (self._held or self._over):
            await self._authorize(asked)

    async def _capture(self, parcel: CaptureParcel) -> None:
        step = f"capture-{parcel.parcel}"
        command = CapturePayment(
            order_id=self._payment.order_id,
            provider_id=self._provider_id,
            amount=min(parcel.amount, self._held),
            currency=self._payment.currency,
            final=parcel.final,
            captured=self._captured,
            idempotency_key=self._key(step),
        )
        result = await self._at_provider(PaymentActivities.capture_payment, command, f"parcel {parcel.parcel} has left")
        self._done_parcels.add(parcel.parcel)
        self._held -= result.amount
        self._captured += result.amount
        await self._record(EntryKind.CAPTURE, step, result.amount, {"parcel": parcel.parcel}, result.fee)
        if parcel.final and self._held > 0:
            # The provider lets go of the rest with the final capture; the ledger says so too.
            await self._record(EntryKind.VOID, "release-rest", self._held)
            self._held = 0
        self._over = self._held <= 0
        await self._tell_order(step, result)

    async def _void(self, reason: str) -> None:
        step = "void"
        command = VoidPayment(
            order_id=self._payment.order_id, provider_id=self._provider_id, idempotency_key=self._key(step)
        )
        result = await self._at_provider(PaymentActivities.void_payment, command, f"void: {reason}")
        await self._record(EntryKind.VOID, step, self._held, {"reason": reason})
        self._held = 0
        await self._tell_order(step, result)

    # --- small words

    async def _at_provider(
        self, deed: Callable[[PaymentActivities, C], ProviderResult], command: C, summary: str
    ) -> ProviderResult:
        return await call_provider(deed, command, summary, self._timeline)

    async def _record(
        self, kind: EntryKind, step: str, amount: int, data: dict[str, object] | None = None, fee: int = 0
    ) -> None:
        command = RecordPayment(
            order_id=self._payment.order_id,
            kind=kind,
            amount=amount,
            currency=self._payment.currency,
            provider_id=self._provider_id,
            idempotency_key=self._key(step),
            fee=fee,
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
            attempt=self._method.attempt,
            action=result.action,
            risk=result.risk,
        )
        await workflow.get_external_workflow_handle(parent.workflow_id).signal(PAYMENT_TOLD, told)

    @property
    def _step(self) -> str:
        """The attempt at work: a new method given by the customer is a new step, hence has a new key."""
        number = self._method.attempt
        return "authorize" if number == 1 else f"authorize-{number}"

    def _key(self, step: str) -> str:
        """One key per step: an automatic retry keeps it, so the provider does the step once."""
        return f"{workflow.info().workflow_id}:{step}"
