"""The payment provider over Stripe's wire API: one command, one call, no retries of its own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import stripe
from stripe import PaymentIntent, Refund, RequestsClient

from adapters.settings import Settings
from domain.errors import Misuse, OutcomeUnknown, ProviderUnavailable
from schemas.payments import (
    AbandonPayment,
    AuthorizePayment,
    CapturePayment,
    LookAtPayment,
    PaymentAction,
    PaymentOutcome,
    ProviderResult,
    RefundPayment,
    VoidPayment,
)

# Otherwise the SDK measures our calls for its maker, and writes an id for that into the user's configuration folder.
stripe.enable_telemetry = False

_OUR_WORDS = {"payment_intent_authentication_failure": "authentication_failed"}
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 25.0
_CLOCKS_DIFFER = timedelta(minutes=10)
_WITH_FEE = "latest_charge.balance_transaction"


def stripe_client(settings: Settings) -> stripe.StripeClient:
    """A client that tries once."""
    # Temporal retries, and shows that it does; a client that retried as well would hide an outage in a long call.
    return stripe.StripeClient(
        settings.stripe_api_key.get_secret_value(),
        base_addresses={"api": settings.stripe_api_base.rstrip("/")},
        max_network_retries=0,
        http_client=RequestsClient(timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS)),
    )


class PaymentProvider:
    """Holds, takes and gives back money.

    A bank's refusal is a result. An outage raises ProviderUnavailable: the outcome is then unknown, and sending the
    same command again, with its idempotency key, is safe. Where the provider keeps a failure under that key, which then
    says nothing about what it did, OutcomeUnknown is raised. A request the provider calls wrong raises Misuse.
    """

    def __init__(self, settings: Settings) -> None:
        client = stripe_client(settings)
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds

    def authorize(self, command: AuthorizePayment) -> ProviderResult:
        """Hold the amount; nothing is held yet when the answer is that the bank wants to see its customer first."""
        if command.in_doubt_since is not None:
            earlier = self._payment_of(command.step, command.in_doubt_since)
            if earlier is not None:
                return _standing(earlier)
        wanted: Any = {
            "amount": command.amount,
            "currency": command.currency.lower(),
            "payment_method": command.payment_method,
            "allowed_payment_method_types": ["card"],
            # An order may leave in several parcels, and each is paid for when it leaves.
            "payment_method_options": {"card": {"request_multicapture": "if_available"}},
            "capture_method": "manual",
            "confirm": True,
            "expand": ["latest_charge"],
            "metadata": {"order_id": command.order_id, "step": command.step},
        }
        if command.return_url:
            wanted["return_url"] = command.return_url
        try:
            intent = self._intents.create(wanted, {"idempotency_key": command.idempotency_key})
        except stripe.StripeError as error:
            return _refusal(error)
        if intent.status not in ("requires_capture", "requires_action"):
            raise Misuse(f"the provider left {intent.id} {intent.status}", "unexpected_status")
        return _standing(intent)

    def look(self, command: LookAtPayment) -> ProviderResult:
        """How the payment stands now, whatever anybody else has said about it."""
        return _standing(self._retrieve(command.provider_id))

    def abandon(self, command: AbandonPayment) -> ProviderResult:
        """Cancel a payment whose customer has not been to their bank. One that they have finished stands."""
        intent = self._retrieve(command.provider_id)
        if intent.status == "requires_action":
            try:
                self._cancel(command.provider_id, command.idempotency_key)
            except stripe.StripeError as error:
                if _intent_in(error).get("status") != "canceled":
                    raise failure(error) from error
            intent = self._retrieve(command.provider_id)
        return _standing(intent)

    def capture(self, command: CapturePayment) -> ProviderResult:
        """Take so much of the hold; after the final capture the rest of it is given back."""
        if command.in_doubt_since is not None:
            known = self._retrieve(command.provider_id, _WITH_FEE)
            if (known.amount_received or 0) >= command.captured + command.amount:
                return _succeeded(command.provider_id, command.amount, _fee(known))
        try:
            intent = self._intents.capture(
                command.provider_id,
                {"amount_to_capture": command.amount, "final_capture": command.final, "expand": [_WITH_FEE]},
                {"idempotency_key": command.idempotency_key},
            )
        except stripe.StripeError as error:
            return _refusal(error)
        return _succeeded(intent.id, command.amount, _fee(intent))

    def void(self, command: VoidPayment) -> ProviderResult:
        """Give back what is held and not captured; that nothing is held any more is a success, too."""
        try:
            intent = self._cancel(command.provider_id, command.idempotency_key)
        except stripe.StripeError as error:
            if _intent_in(error).get("status") not in ("canceled", "succeeded"):
                raise failure(error) from error
            return _succeeded(command.provider_id, 0)
        released = intent.amount - (intent.amount_received or 0)
        return _succeeded(intent.id, released)

    def refund(self, command: RefundPayment) -> ProviderResult:
        """Give back so much of what was captured; a refund the provider has accepted is on its way for certain.

        What it refuses, such as a payment under dispute, is a result.
        """
        try:
            refund = self._refund_of(command) if command.in_doubt_since else None
            if refund is None:
                refund = self._refunds.create(
                    {
                        "payment_intent": command.provider_id,
                        "amount": command.amount,
                        "metadata": {"order_id": command.order_id, "refund_id": command.refund_id},
                    },
                    {"idempotency_key": command.idempotency_key},
                )
        except stripe.InvalidRequestError as error:
            return _declined(command.provider_id, error.code or "refund_refused", error)
        except stripe.StripeError as error:
            raise failure(error) from error
        if refund.status in ("failed", "canceled"):
            return _declined(command.provider_id, refund.failure_reason or "refund_failed", None)
        return _succeeded(refund.id, refund.amount)

    def _payment_of(self, step: str, since: datetime) -> PaymentIntent | None:
        """What an attempt at this step has left; listed and not searched for, because a search lags behind."""
        begun = min(since, datetime.now(UTC)) - _CLOCKS_DIFFER
        window: Any = {"created": {"gte": int(begun.timestamp())}, "limit": 100}
        window["expand"] = ["data.latest_charge"]
        try:
            listed = self._intents.list(window).auto_paging_iter()
            return next((intent for intent in listed if _metadata(intent).get("step") == step), None)
        except stripe.StripeError as error:
            raise failure(error) from error

    def _refund_of(self, command: RefundPayment) -> Refund | None:
        listed = self._refunds.list({"payment_intent": command.provider_id, "limit": 100}).auto_paging_iter()
        return next((one for one in listed if _metadata(one).get("refund_id") == command.refund_id), None)

    def _retrieve(self, provider_id: str, expand: str = "latest_charge") -> PaymentIntent:
        try:
            return self._intents.retrieve(provider_id, {"expand": [expand]})
        except stripe.StripeError as error:
            raise failure(error) from error

    def _cancel(self, provider_id: str, idempotency_key: str) -> PaymentIntent:
        reason = "abandoned"
        return self._intents.cancel(provider_id, {"cancellation_reason": reason}, {"idempotency_key": idempotency_key})


def _standing(intent: PaymentIntent) -> ProviderResult:
    if intent.status == "requires_capture":
        held = _succeeded(intent.id, intent.amount_capturable or 0)
        return held.model_copy(update={"risk": _risk_of(intent.to_dict().get("latest_charge"))})
    if intent.status in ("requires_action", "processing"):
        return ProviderResult(
            outcome=PaymentOutcome.ACTION_REQUIRED, provider_id=intent.id, action=_action(intent.to_dict())
        )
    if intent.status == "requires_payment_method":
        error = intent.to_dict().get("last_payment_error") or {}
        code = error.get("decline_code") or error.get("code") or "card_declined"
        return ProviderResult(
            outcome=PaymentOutcome.DECLINED,
            provider_id=intent.id,
            code=_OUR_WORDS.get(code, code),
            message=error.get("message") or "The bank declined the payment.",
        )
    if intent.status == "canceled":
        charge = intent.to_dict().get("latest_charge")
        was_held = isinstance(charge, dict) and charge.get("status") == "succeeded"
        return ProviderResult(
            outcome=PaymentOutcome.DECLINED,
            provider_id=intent.id,
            # The customer has been to their bank a moment before it was cancelled: held, and given back.
            amount=intent.amount if was_held else 0,
            code="authentication_expired",
            message="The payment was not confirmed with the bank in time.",
        )
    raise Misuse(f"the provider left {intent.id} {intent.status}", "unexpected_status")


def _risk_of(charge: Any) -> str | None:
    outcome = charge.get("outcome") if isinstance(charge, dict) else None
    return (outcome or {}).get("risk_level")


def _action(intent: dict[str, Any]) -> PaymentAction:
    wanted = intent.get("next_action") or {}
    kind = str(wanted.get("type") or "use_stripe_sdk")
    url = (wanted.get("redirect_to_url") or {}).get("url")
    return PaymentAction(type=kind, url=url, client_secret=intent.get("client_secret"))


def _refusal(error: stripe.StripeError) -> ProviderResult:
    """The bank's no as a result; everything else is raised as what it is."""
    details = _details(error)
    if isinstance(error, stripe.CardError):
        code = details.get("decline_code") or error.code or "card_declined"
    elif error.code == "resource_missing" and details.get("param") == "payment_method":
        code = "invalid_payment_method"  # it came from the customer, so the customer is told
    else:
        raise failure(error) from error
    return _declined(_intent_in(error).get("id"), code, error)


def _succeeded(provider_id: str, amount: int, fee: int = 0) -> ProviderResult:
    return ProviderResult(outcome=PaymentOutcome.SUCCEEDED, provider_id=provider_id, amount=amount, fee=fee)


def _fee(intent: PaymentIntent) -> int:
    """What the provider keeps of the last capture; captures of a payment come one after the other."""
    charge = intent.to_dict().get("latest_charge")
    paid_in = charge.get("balance_transaction") if isinstance(charge, dict) else None
    return max(0, int(paid_in.get("fee") or 0)) if isinstance(paid_in, dict) else 0


def _declined(provider_id: str | None, code: str, error: stripe.StripeError | None) -> ProviderResult:
    said = error.user_message if error else None
    return ProviderResult(
        outcome=PaymentOutcome.DECLINED,
        provider_id=provider_id,
        code=code,
        message=said or "The bank declined the payment.",
    )


def failure(error: stripe.StripeError) -> Exception:
    """An outage, to be waited for; an answer that says nothing and never will; or a mistake of ours."""
    status = error.http_status or 0
    if status >= 500 and error.headers and error.headers.get("idempotent-replayed") == "true":
        return OutcomeUnknown(f"The provider keeps a failure under this key: {error.user_message or error}")
    away = isinstance(error, stripe.APIConnectionError | stripe.RateLimitError)
    # 409: an earlier attempt with the same key is still being worked on. No status: the answer was not to be read.
    if away or (isinstance(error, stripe.APIError) and (status in (0, 409) or status >= 500 or status < 300)):
        return ProviderUnavailable(error.user_message or str(error), _retry_after(error))
    return Misuse(str(error), error.code or _details(error).get("type") or "provider_refused")


def _retry_after(error: stripe.StripeError) -> float | None:
    said = str(error.headers.get("retry-after") or "") if error.headers else ""
    return float(said) if said.isdecimal() else None


def _metadata(kept: PaymentIntent | Refund) -> dict[str, str]:
    return kept.to_dict().get("metadata") or {}


def _intent_in(error: stripe.StripeError) -> dict[str, Any]:
    intent = _details(error).get("payment_intent")
    return intent if isinstance(intent, dict) else {}


def _details(error: stripe.StripeError) -> dict[str, Any]:
    body = error.json_body
    details = body.get("error") if isinstance(body, dict) else None
    return details if isinstance(details, dict) else {}
