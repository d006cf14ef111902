"""The share of an order that is paid by card: held, held anew before the bank lets go of it, taken, given back."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import workflow

from activities.payments import PaymentActivities
from domain.ledger import EntryKind
from schemas.payments import (
    AUTHORIZATION_EXPIRED,
    AbandonPayment,
    AuthorizePayment,
    CaptureParcel,
    CapturePayment,
    PaymentInput,
    PaymentOutcome,
    ProviderResult,
    RetrievePayment,
    TryMethod,
    VoidPayment,
)
from workflows.options import PROVIDER
from workflows.outage import retry_until_answered
from workflows.payments.provider_calls import call_provider
from workflows.payments.records import PaymentRecorder

_SUCCEEDED = PaymentOutcome.SUCCEEDED
# A hold is renewed so long before its end: a day of seven, so that an outage of hours costs nothing.
_LONGEST_MARGIN, _MARGIN = timedelta(days=1), 0.25


@dataclass
class _Hold:
    """Money on hold at the bank: the provider's id of it, what was taken of it so far, and how to hold it anew."""

    provider_id: str
    renew_at: datetime | None
    payment_method: str
    customer: str | None
    captures_once: bool
    captured: int = 0
    lapsed: bool = False


class CardPayment:
    """All calls to the provider for one order. `due` is what has to be held and is not taken yet, in minor units."""

    def __init__(self, payment: PaymentInput, book: PaymentRecorder) -> None:
        self._payment = payment
        self._book = book
        self._hold: _Hold | None = None
        self._attempted = ""
        self._renewals = 0
        self._takes = Counter[str]()
        self.due = payment.amount

    @property
    def held(self) -> int:
        """What is on hold at the bank, in minor units."""
        return self.due if self._hold is not None and not self._hold.lapsed else 0

    @property
    def needs_reauthorization(self) -> bool:
        """Whether nothing holds what is still due, because the only capture of its hold has been made."""
        return self._hold is not None and self._hold.lapsed and self.due > 0

    @property
    def attempted(self) -> str:
        """The provider's id of the last attempt; empty when there was none, or it left nothing."""
        return self._attempted

    @property
    def abandoned_attempt(self) -> str:
        """The same, unless that attempt is what holds the money now."""
        holds = self._hold is not None and self._hold.provider_id == self._attempted
        return "" if holds else self._attempted

    @property
    def renew_at(self) -> datetime | None:
        """When the hold has to be renewed, if ever."""
        return self._hold.renew_at if self._hold is not None else None

    # --- holding

    async def authorize(self, step: str, method: TryMethod) -> ProviderResult:
        """Try to hold what is due by this method. What comes of it is to be concluded, unless the bank is still asked.

        Without a method, because there was store credit for all of it a moment ago, the answer is a no.
        """
        if method.payment_method is None:
            self._attempted = ""
            message = "Your store credit does not cover the order: please give a payment method."
            return ProviderResult(outcome=PaymentOutcome.DECLINED, code="payment_method_required", message=message)
        command = AuthorizePayment(
            order_id=self._payment.order_id,
            amount=self.due,
            currency=self._payment.currency,
            payment_method=method.payment_method,
            return_url=method.return_url,
            keep_method=self._payment.keep_method,
            idempotency_key=self._book.key(step),
        )
        result = await self._ask(command, "hold the amount")
        self._attempted = result.provider_id or ""
        return result

    async def look(self) -> ProviderResult:
        """What became of the customer's visit to their bank."""
        look = RetrievePayment(
            order_id=self._payment.order_id,
            provider_id=self._attempted,
            amount=self.due,
            currency=self._payment.currency,
        )
        deed, text = PaymentActivities.retrieve_payment, "ask how the payment stands"
        return await retry_until_answered(deed, look, text, self._book.timeline, PROVIDER)

    async def abandon(self, step: str) -> ProviderResult:
        """Stop waiting for the customer's bank, unless it has said yes meanwhile."""
        end = AbandonPayment(
            order_id=self._payment.order_id,
            provider_id=self._attempted,
            amount=self.due,
            currency=self._payment.currency,
            idempotency_key=self._book.key(step),
        )
        return await call_provider(
            PaymentActivities.abandon_payment, end, "stop waiting for the bank", self._book.timeline
        )

    async def conclude(self, step: str, result: ProviderResult) -> None:
        """The attempt has come to its end: book it. A hold that this one takes the place of is given back after it."""
        if result.outcome is _SUCCEEDED:
            old = self._hold
            self._hold = self._of(result)
            renews: dict[str, object] = {"renewal": True} if old is not None else {}
            await self._book.record(EntryKind.AUTHORIZATION, step, result.amount, self._attempted, renews)
            if old is not None and not old.lapsed:
                await self._give_back(old, f"{step}:void", "held anew", renews)
            return
        if result.amount:
            await self._book.record(EntryKind.AUTHORIZATION, step, result.amount, self._attempted)
            await self._book.record(EntryKind.VOID, f"{step}:abandon", result.amount, self._attempted)
        await self._book.record_decline(f"{step}:declined", result)

    async def renew(self) -> ProviderResult:
        """Hold what is due anew by the method that the provider has kept, then give the old hold back.

        The new one first, so that there is never a moment without. When the bank says no, the old one stays as long as
        it lasts.
        """
        self._renewals += 1
        old = self._standing
        old.renew_at = None
        if old.customer is None:
            message = "The bank soon lets go of the amount, and the method was not kept to hold it anew."
            result = ProviderResult(outcome=PaymentOutcome.DECLINED, code="method_not_kept", message=message)
        else:
            command = AuthorizePayment(
                order_id=self._payment.order_id,
                amount=self.due,
                currency=self._payment.currency,
                payment_method=old.payment_method,
                customer=old.customer,
                off_session=True,
                idempotency_key=self._book.key(self.renewal),
            )
            result = await self._ask(command, "hold the amount anew, before the bank lets go of it")
        self._attempted = result.provider_id or ""
        await self.conclude(self.renewal, result)
        return result

    @property
    def renewal(self) -> str:
        """The step of the last renewal."""
        return f"reauthorize-{self._renewals}"

    # --- taking and giving back

    async def capture(self, parcel: CaptureParcel, amount: int) -> ProviderResult:
        """Take so much for a parcel; the rest is given back when nothing can follow.

        A hold that has run out is booked as what it is, and the money is held anew before it is taken. A refusal is
        the answer when that cannot be either.
        """
        step = f"capture-{parcel.parcel}"
        result = ProviderResult(outcome=PaymentOutcome.DECLINED, code=AUTHORIZATION_EXPIRED)
        if not self._standing.lapsed:
            result = await self._take(step, parcel, amount)
        if result.code == AUTHORIZATION_EXPIRED:
            await self._lapse(step)
            renewed = await self.renew()
            if renewed.outcome is not _SUCCEEDED:
                return renewed
            result = await self._take(f"{step}:{self.renewal}", parcel, amount)
        if result.outcome is not _SUCCEEDED:
            return result
        hold = self._standing
        hold.captured += result.amount
        self.due -= result.amount
        data: dict[str, object] = {"parcel": parcel.parcel}
        await self._book.record(EntryKind.CAPTURE, step, result.amount, hold.provider_id, data, fee=result.fee)
        if parcel.final and self.due > 0:
            # The provider lets go of the rest with the final capture; the ledger says so too.
            await self._book.record(EntryKind.VOID, "release-rest", self.due, hold.provider_id)
            self.due = 0
        elif hold.captures_once and self.due > 0:
            hold.lapsed, hold.renew_at = True, None
            renews: dict[str, object] = {"renewal": True}
            await self._book.record(EntryKind.VOID, f"{step}:release-rest", self.due, hold.provider_id, renews)
        return result

    async def void(self, reason: str) -> ProviderResult:
        """Give back what is held."""
        result = await self._give_back(self._standing, "void", reason)
        self._hold = None
        return result

    # --- small words

    async def _ask(self, command: AuthorizePayment, summary: str) -> ProviderResult:
        return await call_provider(PaymentActivities.authorize_payment, command, summary, self._book.timeline)

    async def _take(self, step: str, parcel: CaptureParcel, amount: int) -> ProviderResult:
        # What was refused is asked for again by an operator alone, and the provider would repeat itself under one key.
        self._takes[step] += 1
        again = f"-again-{self._takes[step]}" if self._takes[step] > 1 else ""
        command = CapturePayment(
            order_id=self._payment.order_id,
            provider_id=self._standing.provider_id,
            amount=amount,
            currency=self._payment.currency,
            final=parcel.final or amount == self.due or self._standing.captures_once,
            captured=self._standing.captured,
            idempotency_key=self._book.key(f"{step}{again}"),
        )
        summary = f"parcel {parcel.parcel} has left"
        return await call_provider(PaymentActivities.capture_payment, command, summary, self._book.timeline)

    async def _give_back(
        self, hold: _Hold, step: str, reason: str, data: dict[str, object] | None = None
    ) -> ProviderResult:
        command = VoidPayment(
            order_id=self._payment.order_id, provider_id=hold.provider_id, idempotency_key=self._book.key(step)
        )
        summary = f"void: {reason}"
        result = await call_provider(PaymentActivities.void_payment, command, summary, self._book.timeline)
        released = self.due
        if result.amount < self.due and workflow.patched("void-as-told"):
            released = result.amount
            self._miss(self.due - released, hold.provider_id)
        if released:
            await self._book.record(
                EntryKind.VOID, step, released, hold.provider_id, {"reason": reason, **(data or {})}
            )
        return result

    def _miss(self, amount: int, provider_id: str) -> None:
        """Somebody has taken of the hold without us: the books do not call it given back, and an operator looks."""
        text = f"{self._book.money(amount)} of {provider_id} were captured by somebody else, and are not given back"
        self._book.timeline.owe([f"{text}; look at the provider's dashboard"])
        workflow.logger.error("a hold was captured by somebody else", extra={"payment": provider_id, "amount": amount})

    async def _lapse(self, step: str) -> None:
        if self._standing.lapsed:
            return
        self._book.timeline.add("the hold has run out before the money was taken")
        self._standing.lapsed = True
        await self._book.record(EntryKind.VOID, f"{step}:expired", self.due, self._standing.provider_id)

    def _of(self, result: ProviderResult) -> _Hold:
        # By the provider's own clock from now on, so that it does not matter whether ours agrees with it.
        lasts = timedelta(seconds=result.authorization_seconds or self._payment.authorization_seconds)
        ends = workflow.now() + lasts - min(_LONGEST_MARGIN, lasts * _MARGIN)
        return _Hold(
            provider_id=self._attempted,
            renew_at=ends if self._payment.authorization_seconds else None,
            payment_method=result.payment_method or "",
            customer=result.customer,
            captures_once=result.captures_once,
        )

    @property
    def _standing(self) -> _Hold:
        assert self._hold is not None
        return self._hold
