"""PaymentWorkflow owns all money of one order: it holds, captures parcel by parcel, and gives back the rest."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError

from domain.credit import spread
from schemas.payments import (
    CaptureParcel,
    PaymentInput,
    PaymentOutcome,
    PaymentResult,
    ProviderResult,
    TryMethod,
    VoidAuthorization,
)
from schemas.provider_events import ProviderEvent
from workflows.payments.abandoned_attempts import AbandonedAttempts
from workflows.payments.card import CardPayment
from workflows.payments.records import PaymentRecorder
from workflows.payments.store_credit import StoreCreditShare
from workflows.reasons import reason_of
from workflows.waiting import run_to_completion

_SUCCEEDED, _ACTION_REQUIRED = PaymentOutcome.SUCCEEDED, PaymentOutcome.ACTION_REQUIRED
# A bank that has not decided when its time is over is asked again, ever more seldom.
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=10), timedelta(minutes=30)
_UNDECIDED = ProviderResult(
    outcome=PaymentOutcome.DECLINED,
    code="payment_processing",
    message="Your bank is still deciding about the payment before; it cannot be paid twice.",
)


@workflow.defn
class PaymentWorkflow:
    """hold store credit → authorize the rest, by as many methods as it takes and one at a time → capture per parcel,
    holding the money anew before the bank lets go of it, or void; ends when none is held and none can be any more.
    """

    @workflow.init
    def __init__(self, payment: PaymentInput) -> None:
        self._payment = payment
        self._book = PaymentRecorder(payment)
        self._card = CardPayment(payment, self._book)
        self._credit = StoreCreditShare(self._book)
        self._method = payment.first
        self._covered = False
        self._bank_waits_until: datetime | None = None
        self._next_wait = _FIRST_WAIT
        self._over = False
        self._asked: list[TryMethod | CaptureParcel | VoidAuthorization] = []
        self._done_parcels: set[int] = set()
        self._seen_events: set[str] = set()
        self._news_of: set[str] = set()
        self._given_up = AbandonedAttempts(payment.order_id)

    @workflow.run
    async def run(self, payment: PaymentInput) -> PaymentResult:  # noqa: ARG002 - as __init__ has it
        """Hold the money, then do what the order asks until no money is held; the order alone can have it let go."""
        return await run_to_completion(self._own_the_money(), self._book.timeline.add)

    async def _own_the_money(self) -> PaymentResult:
        try:
            await self._hold_all()
            await self._serve_order()
        except FailureError:
            # A mistake of ours, for an operator; what is the customer's own must not stay with it.
            await self._credit.release("the payment failed")
            raise
        await self._given_up.give_back()  # what was told while the last step was done
        await workflow.wait_condition(workflow.all_handlers_finished)
        return PaymentResult(order_id=self._payment.order_id, payment_status=self._book.status)

    @workflow.signal
    def try_method(self, method: TryMethod) -> None:
        """The customer gives another method, because the last one was refused or its bank takes too long."""
        self._asked.append(method)

    @workflow.signal
    def capture(self, parcel: CaptureParcel) -> None:
        """The order asks for a parcel's share, because the parcel has left."""
        self._asked.append(parcel)

    @workflow.signal
    def release(self, hold: VoidAuthorization) -> None:
        """The order will not go on."""
        self._asked.append(hold)

    @workflow.signal
    def provider_event(self, event: ProviderEvent) -> None:
        """A verified webhook. It is never believed: at most it is a reason to ask the provider."""
        if event.event_id not in self._seen_events:
            self._seen_events.add(event.event_id)
            self._news_of.add(event.provider_id)
            self._given_up.hear(event)
            self._book.timeline.add(f"provider tells of `{event.type}`")

    # --- holding the money

    async def _hold_all(self) -> None:
        if self._payment.use_store_credit:
            await self._credit.hold()
            self._card.due -= self._credit.held
        await self._authorize(self._payment.first)

    async def _authorize(self, method: TryMethod) -> None:
        self._method = method
        self._given_up.add(self._card.abandoned_attempt)
        if not self._card.due:
            self._covered = True
            await self._signal_order(self._step, ProviderResult(outcome=_SUCCEEDED, amount=self._credit.held))
            return
        result = await self._card.authorize(self._step, method)
        if result.outcome is _ACTION_REQUIRED:
            await self._wait_for_bank(result)
        else:
            await self._conclude(result)

    async def _wait_for_bank(self, result: ProviderResult) -> None:
        self._bank_waits_until = workflow.now() + timedelta(seconds=self._method.authentication_seconds)
        self._next_wait = _FIRST_WAIT
        self._book.timeline.add("the bank wants to see its customer")
        assert result.action is not None
        action = result.action.model_copy(update={"expires_at": self._bank_waits_until})
        await self._signal_order(self._step, result.model_copy(update={"action": action}))

    async def _follow(self, *, give_up: bool) -> None:
        """Ask the provider what became of the customer's visit to their bank, and go by its answer alone."""
        self._news_of.discard(self._card.attempted)
        result = await (self._card.abandon(f"{self._step}:abandon") if give_up else self._card.look())
        if result.outcome is not _ACTION_REQUIRED:
            await self._conclude(result)
        elif give_up and workflow.patched("undecided-bank"):
            self._book.timeline.add(f"the bank has not decided; asked again in {self._next_wait.total_seconds():.0f} s")
            self._bank_waits_until = workflow.now() + self._next_wait
            self._next_wait = min(self._next_wait * 2, _LONGEST_WAIT)

    async def _conclude(self, result: ProviderResult) -> None:
        """The attempt has come to its end: the money is held, or it was refused."""
        self._bank_waits_until = None
        await self._card.conclude(self._step, result)
        self._given_up.add(self._card.abandoned_attempt)
        if result.outcome is _SUCCEEDED:
            self._covered = True
        elif not self._payment.may_retry:
            await self._credit.release("the payment was declined")
            self._over = True
        await self._signal_order(self._step, result)

    async def _renew(self) -> None:
        """The bank soon lets go of the money, or has. Where it does not hold it anew, the order is to be paid anew."""
        result = await self._card.renew()
        self._given_up.add(self._card.abandoned_attempt)
        if result.outcome is not _SUCCEEDED:
            self._covered = False
            await self._signal_order(self._card.renewal, result)

    # --- what the order asks

    async def _serve_order(self) -> None:
        while not self._over:
            in_time = await self._something_happens()
            if self._given_up.late:
                await self._given_up.give_back()
            elif self._asked:
                await self._serve(self._asked.pop(0))
            elif self._bank_waits_until is not None:
                await self._follow(give_up=not in_time)
            else:
                await self._renew()

    async def _something_happens(self) -> bool:
        """Wait for the order, or for news of the customer's bank; False when what is waited for has had its time."""
        until, what = self._bank_waits_until, "the customer confirms with their bank"
        if until is None:
            until, what = self._card.renew_at, "the hold is renewed before it ends"
        if until is None:
            await workflow.wait_condition(lambda: bool(self._asked or self._given_up.late))
            return True
        left = until - workflow.now()
        try:
            await workflow.wait_condition(
                lambda: bool(self._asked or self._given_up.late) or self._bank_has_news(),
                timeout=max(left, timedelta(0)),
                timeout_summary=what,
            )
        except TimeoutError:
            return False
        return True

    def _bank_has_news(self) -> bool:
        return self._bank_waits_until is not None and self._card.attempted in self._news_of

    async def _serve(self, asked: TryMethod | CaptureParcel | VoidAuthorization) -> None:
        if isinstance(asked, CaptureParcel):
            if asked.parcel not in self._done_parcels:
                await self._capture(asked)
            return
        if self._bank_waits_until is not None:
            await self._follow(give_up=True)  # before anything else is held, so that it is never held twice
        if isinstance(asked, VoidAuthorization):
            await self._let_go(asked.reason)
        elif self._bank_waits_until is not None:
            await self._book.signal_order(f"authorize-{asked.attempt}", _UNDECIDED, asked.attempt)
        elif not (self._covered or self._over):
            await self._authorize(asked)

    async def _capture(self, parcel: CaptureParcel) -> None:
        """By card as long as there is any of it, then as store credit: a hold of a card ends by itself."""
        step, owed = f"capture-{parcel.parcel}", min(parcel.amount, self._card.due + self._credit.held)
        by_card, by_credit = spread(owed, [self._card.due, self._credit.held])
        self._done_parcels.add(parcel.parcel)
        result = ProviderResult(outcome=_SUCCEEDED)
        if by_card:
            result = await self._take(parcel, by_card)
            if result.outcome is not _SUCCEEDED:
                self._done_parcels.discard(parcel.parcel)  # an operator may have it tried again
                self._given_up.add(self._card.abandoned_attempt)
                self._covered = False
                await self._signal_order(step, result)
                return
        if by_credit:
            await self._credit.capture(parcel.parcel, by_credit)
        if parcel.final:
            await self._credit.release("nothing else has to be paid")
        if not self._covered and not self._card.due:
            # What the bank would not hold any longer has been taken in time.
            self._covered = True
            await self._signal_order(self._step, result)
        self._over = self._card.due + self._credit.held <= 0
        await self._signal_order(step, result.model_copy(update={"amount": owed}))
        if self._card.needs_reauthorization and self._covered and not parcel.taken_back:
            await self._renew()

    async def _take(self, parcel: CaptureParcel, amount: int) -> ProviderResult:
        """A request that the provider calls wrong has done nothing: the hold keeps its owner, for an operator."""
        try:
            return await self._card.capture(parcel, amount)
        except FailureError as error:
            if not workflow.patched("payment-outlives-wrong-captures"):
                raise
            refusal = reason_of(error)
            workflow.logger.error("the provider does not understand a capture", extra={"code": refusal.code})
            return ProviderResult(outcome=PaymentOutcome.DECLINED, code=refusal.code, message=refusal.message)

    async def _let_go(self, reason: str) -> None:
        if self._card.held:
            result = await self._card.void(reason)
            await self._credit.release(reason)
            await self._signal_order("void", result)
        else:
            self._given_up.add(self._card.abandoned_attempt)
            await self._credit.release(reason)
        self._over = True

    # --- small words

    async def _signal_order(self, step: str, result: ProviderResult) -> None:
        await self._book.signal_order(step, result, self._method.attempt)

    @property
    def _step(self) -> str:
        """The attempt at work: a new method given by the customer is a new step, hence has a new key."""
        number = self._method.attempt
        return "authorize" if number == 1 else f"authorize-{number}"
