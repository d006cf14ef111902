"""PaymentWorkflow owns all money of one order: it authorizes, captures parcel by parcel, and voids the rest."""

from datetime import datetime, timedelta
from typing import TypeAlias

from temporalio import workflow
from temporalio.exceptions import FailureError

from domain.credit import spread
from schemas.payments import CaptureParcel, ChangeAmount, PaymentInput, PaymentResult, TryMethod, VoidAuthorization
from schemas.provider_calls import PaymentOutcome, ProviderResult
from schemas.provider_events import ProviderEvent
from workflows.payments.abandoned_attempts import AbandonedAttempts
from workflows.payments.card import NOTHING_AUTHORIZED, CardPayment
from workflows.payments.provider_calls import UNDECIDED, unless_doubted, unless_rejected
from workflows.payments.records import PaymentRecorder
from workflows.payments.store_credit import StoreCreditShare
from workflows.waiting import run_to_completion

_SUCCEEDED, _ACTION_REQUIRED = PaymentOutcome.SUCCEEDED, PaymentOutcome.ACTION_REQUIRED
# A bank that has not decided when its time is over is asked again, ever more seldom.
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=10), timedelta(minutes=30)
Request: TypeAlias = TryMethod | ChangeAmount | CaptureParcel | VoidAuthorization


@workflow.defn
class PaymentWorkflow:
    """authorize store credit → authorize the rest, one method at a time → capture per parcel, reauthorizing before the
    authorization expires, or void; ends when nothing is authorized and nothing can be.
    """

    @workflow.init
    def __init__(self, payment: PaymentInput) -> None:
        self._payment = payment
        self._recorder = PaymentRecorder(payment)
        self._card = CardPayment(payment, self._recorder)
        self._credit = StoreCreditShare(self._recorder)
        self._method = payment.first
        self._covered = False
        self._bank_waits_until: datetime | None = None
        self._next_wait = _FIRST_WAIT
        self._ended = False
        self._change: ChangeAmount | None = None
        self._requests: list[Request] = []
        self._captures: dict[int, ProviderResult] = {}
        self._seen_events: set[str] = set()
        self._unread_payments: set[str] = set()
        self._abandoned = AbandonedAttempts(payment.order_id)

    @workflow.run
    async def run(self, payment: PaymentInput) -> PaymentResult:  # noqa: ARG002 - as __init__ has it
        """Authorize, then serve the order until nothing is authorized; the order alone can have it voided."""
        return await run_to_completion(self._run_payment(), self._recorder.timeline.add)

    async def _run_payment(self) -> PaymentResult:
        try:
            await self._authorize_all()
            await self._serve_order()
        except FailureError:
            # A fault of ours, for an operator; the customer's store credit must not stay authorized because of it.
            await self._credit.void("the payment failed")
            raise
        await self._abandoned.return_funds()  # events that arrived during the last step
        await workflow.wait_condition(workflow.all_handlers_finished)
        return PaymentResult(order_id=self._payment.order_id, payment_status=self._recorder.status)

    @workflow.signal
    def try_method(self, method: TryMethod) -> None:
        """The customer tries another method, because the last one was declined or its bank takes too long."""
        self._requests.append(method)

    @workflow.signal
    def change_amount(self, request: ChangeAmount) -> None:
        """The order costs more than is authorized; its customer has named a method for all of it."""
        self._requests.append(request)

    @workflow.signal
    def capture(self, parcel: CaptureParcel) -> None:
        """The order has a parcel's share captured, because the parcel was dispatched."""
        self._requests.append(parcel)

    @workflow.signal
    def void(self, command: VoidAuthorization) -> None:
        """The order is being compensated."""
        self._requests.append(command)

    @workflow.signal
    def provider_event(self, event: ProviderEvent) -> None:
        """A verified webhook. It is never believed: at most it is a reason to retrieve the payment."""
        if event.event_id not in self._seen_events:
            self._seen_events.add(event.event_id)
            self._unread_payments.add(event.provider_id)
            self._abandoned.apply(event)
            self._recorder.timeline.add(f"provider event `{event.type}`")

    # --- authorization

    async def _authorize_all(self) -> None:
        if self._payment.use_store_credit:
            await self._credit.authorize()
            self._card.due -= self._credit.authorized
        await self._authorize(self._payment.first)

    async def _authorize(self, method: TryMethod) -> None:
        self._method = method
        self._abandoned.add(self._card.abandoned_attempt)
        if not self._card.due:
            self._covered = True
            await self._signal_order(self._step, ProviderResult(outcome=_SUCCEEDED, amount=self._credit.authorized))
            return
        await self._attempt(method)

    async def _attempt(self, method: TryMethod, due: int | None = None) -> None:
        result = await unless_rejected(self._card.authorize(self._step, method, due))
        await (self._wait_for_bank(result) if result.outcome is _ACTION_REQUIRED else self._conclude(result))

    async def _change_amount(self, request: ChangeAmount) -> None:
        """Authorize the new amount, then void the old one; where that fails, what is authorized stays as it is."""
        if self._bank_waits_until is not None or not self._covered:
            await self._recorder.signal_order(request.step, UNDECIDED, request.method.attempt)
            return
        self._change, self._method = request, request.method.model_copy(update={"attempt": self._method.attempt})
        await self._attempt(self._method, request.amount - self._credit.authorized)

    async def _wait_for_bank(self, result: ProviderResult) -> None:
        self._bank_waits_until = workflow.now() + timedelta(seconds=self._method.authentication_seconds)
        self._next_wait = _FIRST_WAIT
        self._recorder.timeline.add("the bank requires its customer to authenticate")
        assert result.action is not None
        action = result.action.model_copy(update={"expires_at": self._bank_waits_until})
        await self._signal_order(self._step, result.model_copy(update={"action": action}))

    async def _follow(self, *, abandon: bool) -> None:
        """Retrieve the payment after the customer's authentication, and go by the provider's answer alone."""
        self._unread_payments.discard(self._card.attempted)
        result = await (self._card.abandon(f"{self._step}:abandon") if abandon else self._card.retrieve())
        if result.outcome is not _ACTION_REQUIRED:
            await self._conclude(result)
        elif abandon:
            self._recorder.timeline.add(
                f"the bank has not decided; retrieved again in {self._next_wait.total_seconds():.0f} s"
            )
            self._bank_waits_until = workflow.now() + self._next_wait
            self._next_wait = min(self._next_wait * 2, _LONGEST_WAIT)

    async def _conclude(self, result: ProviderResult) -> None:
        """The attempt has ended: authorized or declined."""
        step, changes = self._step, self._change is not None
        result = await unless_doubted(result, self._card.attempted, step, self._recorder) if changes else result
        self._bank_waits_until = self._change = None
        await self._card.conclude(step, result)
        self._abandoned.add(self._card.abandoned_attempt)
        if result.outcome is _SUCCEEDED:
            self._covered = True
        elif not (self._payment.may_retry or changes):
            await self._credit.void("the payment was declined")
            self._ended = True
        await self._signal_order(step, result)

    async def _reauthorize(self) -> None:
        """The authorization expires soon, or has. Where the bank declines another, the order has to be paid again."""
        result = await self._card.reauthorize()
        self._abandoned.add(self._card.abandoned_attempt)
        if result.outcome is not _SUCCEEDED:
            self._covered = False
            await self._signal_order(self._card.reauthorization, result)

    # --- what the order requests

    async def _serve_order(self) -> None:
        while not self._is_over():
            in_time = await self._wait_for_work()
            if self._abandoned.orphaned:
                await self._abandoned.return_funds()
            elif self._requests:
                await self._serve(self._requests.pop(0))
            elif self._bank_waits_until is not None:
                await self._follow(abandon=not in_time)
            elif await self._recorder.check_order():
                await self._reauthorize()
            else:
                self._card.let_expire()
        await self._answer_rest()

    def _is_over(self) -> bool:
        """Whether nothing is left to do. Where the order has ended without this payment, an operator decides."""
        if self._recorder.order_has_ended and self._bank_waits_until is None:
            held = 0 if self._ended else self._card.authorized + self._credit.authorized
            text = f"the order has ended and {self._recorder.money(held)} is still authorized: void or capture it"
            self._recorder.timeline.needs_operator([text] if held else [], about="the order has ended")
            self._ended = self._ended or not (held or self._requests)
        return self._ended

    async def _wait_for_work(self) -> bool:
        """Wait for the order, or for an event of the customer's bank; False when the time to wait is over."""
        until, what = self._bank_waits_until, "the customer authenticates with their bank"
        if until is None:
            until, what = self._card.reauthorize_at, "reauthorize before the authorization expires"
        if until is None:
            await workflow.wait_condition(lambda: bool(self._requests or self._abandoned.orphaned))
            return True
        remaining = until - workflow.now()
        try:
            await workflow.wait_condition(
                lambda: bool(self._requests or self._abandoned.orphaned) or self._has_bank_event(),
                timeout=max(remaining, timedelta(0)),
                timeout_summary=what,
            )
        except TimeoutError:
            return False
        return True

    def _has_bank_event(self) -> bool:
        return self._bank_waits_until is not None and self._card.attempted in self._unread_payments

    async def _serve(self, request: Request) -> None:
        self._recorder.order_has_ended = False  # it asks: where it had ended, another workflow has adopted it
        if isinstance(request, CaptureParcel):
            await self._capture(request)
            return
        if self._bank_waits_until is not None:
            await self._follow(abandon=True)  # before anything else is authorized, so that nothing is authorized twice
        if isinstance(request, VoidAuthorization):
            await self._void(request.reason)
        elif isinstance(request, ChangeAmount):
            await self._change_amount(request)
        elif self._bank_waits_until is not None:
            await self._recorder.signal_order(f"authorize-{request.attempt}", UNDECIDED, request.attempt)
        elif not (self._covered or self._ended):
            await self._authorize(request)

    async def _capture(self, parcel: CaptureParcel) -> None:
        """Capture the parcel's share, once; void the rest when no other parcel can follow. A repeat is answered."""
        step = f"capture-{parcel.parcel}"
        if parcel.parcel not in self._captures:
            result = await self._capture_share(parcel)
            if result.outcome is not _SUCCEEDED:  # an operator may have it retried
                self._abandoned.add(self._card.abandoned_attempt)
                self._covered = False
                await self._signal_order(step, result)
                return
            self._captures[parcel.parcel] = result
        if parcel.final:
            await self._void_rest("nothing else is due")
        elif not self._covered and not self._card.due:
            # What the bank declined to reauthorize was captured in time.
            self._covered = True
            await self._signal_order(self._step, self._captures[parcel.parcel])
        self._ended = parcel.final or self._card.due + self._credit.authorized <= 0
        await self._signal_order(step, self._captures[parcel.parcel])
        follows = self._covered and not parcel.compensating and not self._recorder.order_has_ended
        if self._card.needs_reauthorization and follows:
            await self._reauthorize()

    async def _capture_share(self, parcel: CaptureParcel) -> ProviderResult:
        """By card as long as any of it is due, then from store credit: a card's authorization expires by itself."""
        amount = min(parcel.amount, self._card.due + self._credit.authorized)
        by_card, by_credit = spread(amount, [self._card.due, self._credit.authorized])
        result = ProviderResult(outcome=_SUCCEEDED)
        if by_card:
            result = await unless_rejected(self._card.capture(parcel, by_card))
        if by_credit and result.outcome is _SUCCEEDED:
            await self._credit.capture(parcel.parcel, by_credit)
        return result.model_copy(update={"amount": amount}) if result.outcome is _SUCCEEDED else result

    async def _void(self, reason: str) -> None:
        if not self._card.authorized:
            self._abandoned.add(self._card.abandoned_attempt)
        await self._signal_order("void", await self._void_rest(reason))
        self._ended = True

    async def _void_rest(self, reason: str) -> ProviderResult:
        """Void what is authorized and not captured, on the card and as store credit; it may be nothing."""
        voided = ProviderResult(outcome=_SUCCEEDED)
        if self._card.authorized:
            voided = await self._card.void(reason)
        await self._credit.void(reason)
        return voided

    async def _answer_rest(self) -> None:
        """What was requested the moment it ended: nothing is authorized any more."""
        while self._requests:
            request = self._requests.pop(0)
            if isinstance(request, CaptureParcel):
                result = self._captures.get(request.parcel, NOTHING_AUTHORIZED)
                await self._signal_order(f"capture-{request.parcel}", result)
            elif isinstance(request, VoidAuthorization):
                await self._signal_order("void", ProviderResult(outcome=_SUCCEEDED))

    # --- steps

    async def _signal_order(self, step: str, result: ProviderResult) -> None:
        await self._recorder.signal_order(step, result, self._method.attempt)

    @property
    def _step(self) -> str:
        """The running attempt: another method is another step, hence has another key."""
        if self._change is not None:
            return self._change.step
        return "authorize" if self._method.attempt == 1 else f"authorize-{self._method.attempt}"
