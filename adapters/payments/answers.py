"""What the payment provider's answers mean: how a payment stands, a bank's no, an outage, or a mistake of ours."""

from typing import Any

import stripe
import structlog
from stripe import PaymentIntent, Refund
from urllib3.exceptions import ConnectTimeoutError

from domain.errors import KeyRefused, Misuse, NothingDone, OutcomeUnknown, ProviderUnavailable
from schemas.payments import PaymentAction, PaymentOutcome, ProviderResult

_OUR_WORDS = {"payment_intent_authentication_failure": "authentication_failed"}
_log = structlog.get_logger(__name__)


def never_confirmed(intent: PaymentIntent) -> bool:
    """Whether the provider has opened a payment and heard of no bank about it: no decline, whatever it looks like."""
    if intent.status == "requires_payment_method":
        error = intent.to_dict().get("last_payment_error") or {}
        return error.get("type") in (None, "api_error", "idempotency_error")
    return intent.status == "requires_confirmation"


def standing(intent: PaymentIntent) -> ProviderResult:
    """How a payment stands."""
    if intent.status == "requires_capture":
        return _held(intent)
    if intent.status in ("requires_action", "processing"):
        return ProviderResult(
            outcome=PaymentOutcome.ACTION_REQUIRED, provider_id=intent.id, action=_action(intent.to_dict())
        )
    if never_confirmed(intent):
        return ProviderResult(
            outcome=PaymentOutcome.DECLINED,
            provider_id=intent.id,
            code="payment_not_confirmed",
            message="The payment was not carried out. Please try again.",
        )
    if intent.status == "requires_payment_method":
        error = intent.to_dict()["last_payment_error"]
        code = error.get("decline_code") or error.get("code") or "card_declined"
        return ProviderResult(
            outcome=PaymentOutcome.DECLINED,
            provider_id=intent.id,
            code=_OUR_WORDS.get(code, code),
            message=error.get("message") or "The bank declined the payment.",
        )
    if intent.status == "canceled":
        was_held = charge_of(intent).get("status") == "succeeded"
        return ProviderResult(
            outcome=PaymentOutcome.DECLINED,
            provider_id=intent.id,
            # The customer has been to their bank a moment before it was cancelled: held, and given back.
            amount=intent.amount if was_held else 0,
            code="authentication_expired",
            message="The payment was not confirmed with the bank in time.",
        )
    raise Misuse(f"the provider left {intent.id} {intent.status}", "unexpected_status")


def charge_of(intent: PaymentIntent) -> dict[str, Any]:
    """The last charge of a payment; empty when there is none, or it was not asked for."""
    charge = intent.to_dict().get("latest_charge")
    return charge if isinstance(charge, dict) else {}


def _held(held: PaymentIntent) -> ProviderResult:
    intent, charge = held.to_dict(), charge_of(held)
    card = (charge.get("payment_method_details") or {}).get("card") or {}
    ends = card.get("capture_before")
    return ProviderResult(
        outcome=PaymentOutcome.SUCCEEDED,
        provider_id=intent["id"],
        amount=intent.get("amount_capturable") or 0,
        authorization_seconds=max(0, ends - charge["created"]) if ends else None,
        payment_method=intent.get("payment_method"),
        customer=intent.get("customer"),
        risk=(charge.get("outcome") or {}).get("risk_level"),
        captures_once=(card.get("multicapture") or {}).get("status") != "available",
    )


def refund_standing(refund: Refund) -> ProviderResult:
    """How a refund stands."""
    if refund.status in ("failed", "canceled"):
        message = "The bank has not accepted the refund."
        code = failure_of(refund)
        return ProviderResult(outcome=PaymentOutcome.DECLINED, provider_id=refund.id, code=code, message=message)
    pending = refund.status in ("pending", "requires_action")
    outcome = PaymentOutcome.PENDING if pending else PaymentOutcome.SUCCEEDED
    return ProviderResult(outcome=outcome, provider_id=refund.id, amount=refund.amount)


def failure_of(refund: Refund) -> str:
    """The bank's word for why a refund has failed."""
    return refund.failure_reason or "refund_failed"


def _action(intent: dict[str, Any]) -> PaymentAction:
    wanted = intent.get("next_action") or {}
    # While the bank decides there is nothing for its customer to do but wait.
    otherwise = "processing" if intent["status"] == "processing" else "use_stripe_sdk"
    kind = str(wanted.get("type") or otherwise)
    url = (wanted.get("redirect_to_url") or {}).get("url")
    return PaymentAction(type=kind, url=url, client_secret=intent.get("client_secret"))


def refusal(error: stripe.StripeError) -> ProviderResult:
    """The bank's no as a result; everything else is raised as what it is."""
    details = _details(error)
    if isinstance(error, stripe.CardError):
        code = details.get("decline_code") or error.code or "card_declined"
    elif error.code == "resource_missing" and details.get("param") == "payment_method":
        code = "invalid_payment_method"  # it came from the customer, so the customer is told
    else:
        raise failure(error) from error
    return declined(intent_in(error).get("id"), code, error)


def has_expired(error: stripe.InvalidRequestError, captured: int) -> bool:
    """Whether a capture was refused because the bank has let go of the hold, of which so much was captured before."""
    intent = intent_in(error)
    if error.code == "charge_expired_for_capture" or intent.get("status") == "canceled":
        return True
    # Of a payment that was captured in part what is left lapses, and it has succeeded; who took more is another matter.
    return intent.get("status") == "succeeded" and (intent.get("amount_received") or 0) == captured > 0


def succeeded(provider_id: str, amount: int, fee: int = 0) -> ProviderResult:
    """It is done; the provider keeps the fee of it."""
    return ProviderResult(outcome=PaymentOutcome.SUCCEEDED, provider_id=provider_id, amount=amount, fee=fee)


def declined(provider_id: str | None, code: str, error: stripe.StripeError | None) -> ProviderResult:
    """It is refused, in the provider's words where it has some."""
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
    if isinstance(error, stripe.IdempotencyError) and status == 400:
        return OutcomeUnknown(f"The provider knows another request by this key: {error.user_message or error}")
    if status in (401, 403):
        _log.error("the payment provider turns our key away; payments wait until it is mended", status=status)
        return KeyRefused(str(error), _retry_after(error))
    if isinstance(error, stripe.RateLimitError) or _never_got_there(error):
        return NothingDone(error.user_message or str(error), _retry_after(error))
    away = isinstance(error, stripe.APIConnectionError)
    # 409: an earlier attempt with the same key is still being worked on. No status: the answer was not to be read.
    if away or (isinstance(error, stripe.APIError) and (status in (0, 409) or status >= 500 or status < 300)):
        return ProviderUnavailable(error.user_message or str(error), _retry_after(error))
    return Misuse(str(error), error.code or _details(error).get("type") or "provider_refused")


def _never_got_there(error: stripe.StripeError) -> bool:
    """Whether no connection came about, so that nothing was sent; one that broke later may have carried the request."""
    cause = error.__cause__
    reason = getattr(cause.args[0], "reason", None) if cause is not None and cause.args else None
    return isinstance(reason, ConnectTimeoutError)  # refused, and no such host, are kinds of it


def _retry_after(error: stripe.StripeError) -> float | None:
    said = str(error.headers.get("retry-after") or "") if error.headers else ""
    return float(said) if said.isdecimal() else None


def metadata_of(kept: PaymentIntent | Refund) -> dict[str, str]:
    """What we have written on it."""
    return kept.to_dict().get("metadata") or {}


def intent_in(error: stripe.StripeError) -> dict[str, Any]:
    """The payment that an error speaks of."""
    intent = _details(error).get("payment_intent")
    return intent if isinstance(intent, dict) else {}


def _details(error: stripe.StripeError) -> dict[str, Any]:
    body = error.json_body
    details = body.get("error") if isinstance(body, dict) else None
    return details if isinstance(details, dict) else {}
