"""The share of an order that is paid by card: authorized, reauthorized before that expires, captured, voided."""

from collections import Counter
from datetime import datetime

from temporalio import workflow

from activities.payments import PaymentActivities
from domain.ledger import EntryKind
from schemas.operator_tasks import OperatorTaskCode
from schemas.payments import CaptureParcel, PaymentInput, TryMethod
from schemas.provider_calls import (
    AUTHORIZATION_EXPIRED,
    AbandonPayment,
    AuthorizePayment,
    CapturePayment,
    PaymentOutcome,
    ProviderResult,
    RetrievePayment,
    VoidPayment,
)
from workflows.options import PROVIDER
from workflows.outage import retry_until_answered
from workflows.payments.authorization import Authorization
from workflows.payments.provider_calls import call_provider
from workflows.payments.records import PaymentRecorder

_SUCCEEDED = PaymentOutcome.SUCCEEDED
NOTHING_AUTHORIZED = ProviderResult(
    outcome=PaymentOutcome.DECLINED, code="nothing_authorized", message="Nothing of the order is authorized any more."
)


class CardPayment:
    """All calls to the provider for one order. `due` is to be paid by card and not captured yet, in minor units."""

    def __init__(self, payment: PaymentInput, recorder: PaymentRecorder) -> None:
        self._payment = payment
        self._recorder = recorder
        self._authorization: Authorization | None = None
        self._attempted = ""
        self._reauthorizations = 0
        self._captures = Counter[str]()
        self._due_once_authorized: int | None = None  # where the running attempt is for another amount
        self.due = payment.amount

    @property
    def authorized(self) -> int:
        """What is authorized at the bank, in minor units."""
        return self.due if self._authorization is not None and not self._authorization.expired else 0

    @property
    def needs_reauthorization(self) -> bool:
        """Whether what is still due is no longer authorized, because the only capture of the authorization was made."""
        return self._authorization is not None and self._authorization.expired and self.due > 0

    @property
    def attempted(self) -> str:
        """The provider's id of the last attempt; empty when there was none, or it has none."""
        return self._attempted

    @property
    def abandoned_attempt(self) -> str:
        """The same, unless that attempt is the authorization now."""
        is_current = self._authorization is not None and self._authorization.provider_id == self._attempted
        return "" if is_current else self._attempted

    @property
    def reauthorize_at(self) -> datetime | None:
        """When to reauthorize, if ever."""
        return self._authorization.reauthorize_at if self._authorization is not None else None

    # --- authorization

    async def authorize(self, step: str, method: TryMethod, due: int | None = None) -> ProviderResult:
        """Try to authorize what is due by this method, or what will be `due` once that has succeeded. The result is to
        be concluded, unless the bank still decides.

        Without a method, because store credit covered all of it a moment ago, it is declined.
        """
        self._due_once_authorized = due
        if method.payment_method is None:
            self._attempted = ""
            message = "Your store credit does not cover the order. Choose a payment method for the rest."
            return ProviderResult(outcome=PaymentOutcome.DECLINED, code="payment_method_required", message=message)
        command = AuthorizePayment(
            order_id=self._payment.order_id,
            amount=self._asked,
            currency=self._payment.currency,
            payment_method=method.payment_method,
            return_url=method.return_url,
            keep_method=self._payment.keep_method,
            idempotency_key=self._recorder.key(step),
        )
        result = await self._authorize(command, "authorize the amount")
        self._attempted = result.provider_id or ""
        return result

    async def retrieve(self) -> ProviderResult:
        """What became of the customer's authentication."""
        command = RetrievePayment(
            order_id=self._payment.order_id,
            provider_id=self._attempted,
            amount=self._asked,
            currency=self._payment.currency,
        )
        call, text = PaymentActivities.retrieve_payment, "retrieve the payment"
        return await retry_until_answered(call, command, text, self._recorder.timeline, PROVIDER)

    async def abandon(self, step: str) -> ProviderResult:
        """Stop waiting for the customer's bank, unless it has authorized meanwhile."""
        command = AbandonPayment(
            order_id=self._payment.order_id,
            provider_id=self._attempted,
            amount=self._asked,
            currency=self._payment.currency,
            idempotency_key=self._recorder.key(step),
        )
        return await call_provider(
            PaymentActivities.abandon_payment, command, "abandon the attempt", self._recorder.timeline
        )

    async def conclude(self, step: str, result: ProviderResult) -> None:
        """The attempt has ended: record it. An authorization that this one replaces is voided after it."""
        if result.outcome is _SUCCEEDED:
            old = self._authorization
            self._authorization = Authorization.of(result, self._attempted, self._payment.authorization_seconds)
            reauthorizes: dict[str, object] = {"reauthorization": True} if old is not None else {}
            await self._recorder.record(EntryKind.AUTHORIZATION, step, result.amount, self._attempted, reauthorizes)
            if old is not None and not old.expired:
                await self._void(old, f"{step}:void", "reauthorized", reauthorizes)
            self.due, self._due_once_authorized = self._asked, None
            return
        self._due_once_authorized = None
        if result.amount:
            await self._recorder.record(EntryKind.AUTHORIZATION, step, result.amount, self._attempted)
            await self._recorder.record(EntryKind.VOID, f"{step}:abandon", result.amount, self._attempted)
        await self._recorder.record_decline(f"{step}:declined", result)

    async def reauthorize(self) -> ProviderResult:
        """Authorize what is due again by the method that the provider has kept, then void the old authorization.

        The new one first, so that there is never a moment without. When the bank declines, the old one stays as long
        as it lasts.
        """
        self._reauthorizations += 1
        old = self._current
        old.reauthorize_at = None
        if old.customer is None:
            message = "Your bank's authorization expires soon and your payment method was not saved. Please pay again."
            result = ProviderResult(outcome=PaymentOutcome.DECLINED, code="method_not_kept", message=message)
        else:
            command = AuthorizePayment(
                order_id=self._payment.order_id,
                amount=self.due,
                currency=self._payment.currency,
                payment_method=old.payment_method,
                customer=old.customer,
                off_session=True,
                idempotency_key=self._recorder.key(self.reauthorization),
            )
            result = await self._authorize(command, "reauthorize the amount before the authorization expires")
        self._attempted = result.provider_id or ""
        await self.conclude(self.reauthorization, result)
        return result

    @property
    def reauthorization(self) -> str:
        """The step of the last reauthorization."""
        return f"reauthorize-{self._reauthorizations}"

    # --- capture and void

    async def capture(self, parcel: CaptureParcel, amount: int) -> ProviderResult:
        """Capture so much for a parcel; the rest is voided when nothing can follow.

        An expired authorization is recorded as voided, and the amount is authorized again before it is captured. A
        decline is the answer when that is not possible either.
        """
        step = f"capture-{parcel.parcel}"
        if self._authorization is None:
            return NOTHING_AUTHORIZED
        result = ProviderResult(outcome=PaymentOutcome.DECLINED, code=AUTHORIZATION_EXPIRED)
        if not self._current.expired:
            result = await self._capture(step, parcel, amount)
        if result.code == AUTHORIZATION_EXPIRED:
            await self._expire(step)
            reauthorized = await self.reauthorize()
            if reauthorized.outcome is not _SUCCEEDED:
                return reauthorized
            result = await self._capture(f"{step}:{self.reauthorization}", parcel, amount)
        if result.outcome is not _SUCCEEDED:
            return result
        authorization = self._current
        authorization.captured += result.amount
        self.due -= result.amount
        data: dict[str, object] = {"parcel": parcel.parcel}
        await self._recorder.record(
            EntryKind.CAPTURE, step, result.amount, authorization.provider_id, data, fee=result.fee
        )
        if parcel.final and self.due > 0:
            # The provider voids the rest with the final capture; the ledger records it too.
            await self._recorder.record(EntryKind.VOID, "void-rest", self.due, authorization.provider_id)
            self.due = 0
        elif authorization.captures_once and self.due > 0:
            authorization.expired, authorization.reauthorize_at = True, None
            reauthorizes: dict[str, object] = {"reauthorization": True}
            await self._recorder.record(
                EntryKind.VOID, f"{step}:void-rest", self.due, authorization.provider_id, reauthorizes
            )
        return result

    def let_expire(self) -> None:
        """Reauthorize nothing any more: the authorization ends by itself."""
        self._current.reauthorize_at = None

    async def void(self, reason: str) -> ProviderResult:
        """Void what is authorized and not captured."""
        result = await self._void(self._current, "void", reason)
        self._authorization = None
        return result

    # --- calls

    async def _authorize(self, command: AuthorizePayment, summary: str) -> ProviderResult:
        return await call_provider(PaymentActivities.authorize_payment, command, summary, self._recorder.timeline)

    async def _capture(self, step: str, parcel: CaptureParcel, amount: int) -> ProviderResult:
        # A declined capture is retried by an operator alone, and under one key the provider would repeat its answer.
        self._captures[step] += 1
        again = f"-again-{self._captures[step]}" if self._captures[step] > 1 else ""
        command = CapturePayment(
            order_id=self._payment.order_id,
            provider_id=self._current.provider_id,
            amount=amount,
            currency=self._payment.currency,
            final=parcel.final or amount == self.due or self._current.captures_once,
            captured=self._current.captured,
            idempotency_key=self._recorder.key(f"{step}{again}"),
        )
        summary = f"capture parcel {parcel.parcel}"
        return await call_provider(PaymentActivities.capture_payment, command, summary, self._recorder.timeline)

    async def _void(
        self, authorization: Authorization, step: str, reason: str, data: dict[str, object] | None = None
    ) -> ProviderResult:
        command = VoidPayment(
            order_id=self._payment.order_id,
            provider_id=authorization.provider_id,
            idempotency_key=self._recorder.key(step),
        )
        summary = f"void: {reason}"
        result = await call_provider(PaymentActivities.void_payment, command, summary, self._recorder.timeline)
        voided = self.due
        if result.amount < self.due:
            voided = result.amount
            self._report_missing(self.due - voided, authorization.provider_id)
        if voided:
            await self._recorder.record(
                EntryKind.VOID, step, voided, authorization.provider_id, {"reason": reason, **(data or {})}
            )
        return result

    def _report_missing(self, amount: int, provider_id: str) -> None:
        """Part of the authorization was captured outside this system: not recorded as voided, and needs an operator."""
        text = f"{self._recorder.money(amount)} of {provider_id} were captured outside this system and are not voided"
        self._recorder.timeline.needs_operator(
            [f"{text}; check the provider's dashboard"],
            about=f"captured outside: {provider_id}",
            code=OperatorTaskCode.PAYMENT_DIFFERENCE,
            route="GET /v1/ops/reconciliation/payments",
            outlasts=True,
        )
        workflow.logger.error(
            "an authorization was captured outside this system", extra={"payment": provider_id, "amount": amount}
        )

    async def _expire(self, step: str) -> None:
        if self._current.expired:
            return
        self._recorder.timeline.add("the authorization expired before the capture")
        self._current.expired = True
        await self._recorder.record(EntryKind.VOID, f"{step}:expired", self.due, self._current.provider_id)

    @property
    def _asked(self) -> int:
        """What the running attempt is for."""
        return self.due if self._due_once_authorized is None else self._due_once_authorized

    @property
    def _current(self) -> Authorization:
        assert self._authorization is not None
        return self._authorization
