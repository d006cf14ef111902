"""What the payment provider's answers mean: the state of a payment or a refund, or a decline."""

from typing import Any

import stripe
from stripe import PaymentIntent, Refund

from adapters.payments.failures import details_of, failure
from domain.outside_errors import Misuse
from schemas.provider_calls import PaymentAction, PaymentOutcome, ProviderResult

_OUR_WORDS = {"payment_intent_authentication_failure": "authentication_failed"}


def never_confirmed(intent: PaymentIntent) -> bool:
    """Whether the provider has opened a payment without asking the bank: no decline, whatever it looks like."""
    if intent.status == "requires_payment_method":
        error = intent.to_dict().get("last_payment_error") or {}
        return error.get("type") in (None, "api_error", "idempotency_error")
    return intent.status == "requires_confirmation"


def standing(intent: PaymentIntent) -> ProviderResult:
    """The state of a payment as a result."""
    if intent.status == "requires_capture":
        return _authorized(intent)
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
        was_authorized = charge_of(intent).get("status") == "succeeded"
        return ProviderResult(
            outcome=PaymentOutcome.DECLINED,
            provider_id=intent.id,
            # The customer confirmed a moment before it was cancelled: authorized, and voided.
            amount=intent.amount if was_authorized else 0,
            code="authentication_expired",
            message="The payment was not confirmed with the bank in time.",
        )
    raise Misuse(f"the provider left {intent.id} {intent.status}", "unexpected_status")


def charge_of(intent: PaymentIntent) -> dict[str, Any]:
    """The last charge of a payment; empty when there is none, or it was not expanded."""
    charge = intent.to_dict().get("latest_charge")
    return charge if isinstance(charge, dict) else {}


def _authorized(authorized: PaymentIntent) -> ProviderResult:
    intent, charge = authorized.to_dict(), charge_of(authorized)
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
    """The state of a refund as a result."""
    if refund.status in ("failed", "canceled"):
        message = "The bank has not accepted the refund."
        code = failure_of(refund)
        return ProviderResult(outcome=PaymentOutcome.DECLINED, provider_id=refund.id, code=code, message=message)
    pending = refund.status in ("pending", "requires_action")
    outcome = PaymentOutcome.PENDING if pending else PaymentOutcome.SUCCEEDED
    return ProviderResult(outcome=outcome, provider_id=refund.id, amount=refund.amount)


def failure_of(refund: Refund) -> str:
    """The bank's reason for a failed refund."""
    return refund.failure_reason or "refund_failed"


def _action(intent: dict[str, Any]) -> PaymentAction:
    action = intent.get("next_action") or {}
    # While the bank decides there is nothing for its customer to do but wait.
    otherwise = "processing" if intent["status"] == "processing" else "use_stripe_sdk"
    kind = str(action.get("type") or otherwise)
    url = (action.get("redirect_to_url") or {}).get("url")
    return PaymentAction(type=kind, url=url, client_secret=intent.get("client_secret"))


def refusal(error: stripe.StripeError) -> ProviderResult:
    """A decline as a result; every other error is raised."""
    details = details_of(error)
    if isinstance(error, stripe.CardError):
        code = details.get("decline_code") or error.code or "card_declined"
    elif error.code == "resource_missing" and details.get("param") == "payment_method":
        code = "invalid_payment_method"  # it came from the customer
    else:
        raise failure(error) from error
    return declined(intent_in(error).get("id"), code, error)


def has_expired(error: stripe.InvalidRequestError, captured: int) -> bool:
    """Whether a capture was refused because the authorization expired, of which so much was captured before."""
    intent = intent_in(error)
    if error.code == "charge_expired_for_capture" or intent.get("status") == "canceled":
        return True
    # A payment captured in part succeeds when the rest expires; a capture by somebody else is another matter.
    return intent.get("status") == "succeeded" and (intent.get("amount_received") or 0) == captured > 0


def succeeded(provider_id: str, amount: int, fee: int = 0) -> ProviderResult:
    """A success; the provider keeps the fee."""
    return ProviderResult(outcome=PaymentOutcome.SUCCEEDED, provider_id=provider_id, amount=amount, fee=fee)


def declined(provider_id: str | None, code: str, error: stripe.StripeError | None) -> ProviderResult:
    """A decline, with the provider's message where it has one."""
    message = error.user_message if error else None
    return ProviderResult(
        outcome=PaymentOutcome.DECLINED,
        provider_id=provider_id,
        code=code,
        message=message or "The bank declined the payment.",
    )


def metadata_of(resource: PaymentIntent | Refund) -> dict[str, str]:
    """The metadata that we have set on it."""
    return resource.to_dict().get("metadata") or {}


def intent_in(error: stripe.StripeError) -> dict[str, Any]:
    """The payment that an error is about."""
    intent = details_of(error).get("payment_intent")
    return intent if isinstance(intent, dict) else {}
