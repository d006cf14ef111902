"""Stripe's test payment methods and how the bank behind each of them decides."""

import re
from dataclasses import dataclass

from dev.payment_simulator.errors import missing


@dataclass(frozen=True)
class Card:
    """One test card: accepted, declined with a reason, or requiring authentication first."""

    brand: str = "visa"
    last4: str = "4242"
    code: str | None = None
    decline_code: str | None = None
    message: str = ""
    # Whether every payment requires 3-D Secure.
    authentication: bool = False
    risk: str = "normal"
    # chargeback: once it is captured; inquiry: at once.
    disputed: str | None = None
    # How a refund ends that is not final at once: "succeeded" after pending, or "failed" after succeeded.
    refund_ends: str | None = None
    # Whether its bank decides about the payment later; `code` says how.
    decides_late: bool = False
    # Whether an authorization can be captured in several parts; Stripe has no test card that cannot.
    multicapture: bool = True


_GENERIC = "Your card was declined."


def _declined(last4: str, code: str, decline_code: str | None = None, message: str = _GENERIC) -> Card:
    return Card(last4=last4, code=code, decline_code=decline_code, message=message)


_CARDS = {
    "pm_card_visa": Card(),
    "pm_card_visa_debit": Card(last4="5556"),
    "pm_card_mastercard": Card("mastercard", "4444"),
    "pm_card_mastercard_debit": Card("mastercard", "3222"),
    "pm_card_amex": Card("amex", "8431"),
    "pm_card_discover": Card("discover", "1117"),
    "pm_card_diners": Card("diners", "0004"),
    "pm_card_jcb": Card("jcb", "0505"),
    "pm_card_unionpay": Card("unionpay", "0005"),
    "pm_card_chargeDeclined": _declined("0002", "card_declined", "generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": _declined(
        "9995", "card_declined", "insufficient_funds", "Your card has insufficient funds."
    ),
    "pm_card_chargeDeclinedLostCard": _declined("9987", "card_declined", "lost_card"),
    "pm_card_chargeDeclinedStolenCard": _declined("9979", "card_declined", "stolen_card"),
    "pm_card_chargeDeclinedFraudulent": _declined("0019", "card_declined", "fraudulent"),
    "pm_card_chargeDeclinedVelocityLimitExceeded": _declined(
        "6975", "card_declined", "card_velocity_exceeded", "Your card was declined for making repeated attempts."
    ),
    "pm_card_chargeDeclinedExpiredCard": _declined("0069", "expired_card", None, "Your card has expired."),
    "pm_card_chargeDeclinedIncorrectCvc": _declined(
        "0127", "incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."
    ),
    "pm_card_chargeDeclinedProcessingError": _declined(
        "0119", "processing_error", "processing_error", "An error occurred while processing your card. Try again later."
    ),
    "pm_card_riskLevelElevated": Card(last4="9235", risk="elevated"),
    "pm_card_authenticationRequired": Card(last4="3184", authentication=True),
    "pm_card_threeDSecure2Required": Card(last4="3220", authentication=True),
    "pm_card_pendingRefund": Card(last4="7726", refund_ends="succeeded"),
    "pm_card_refundFail": Card(last4="5126", refund_ends="failed"),
    "pm_card_slowBank": Card(last4="0077", decides_late=True),
    "pm_card_slowBankDeclines": Card(
        last4="0085", code="card_declined", decline_code="generic_decline", message=_GENERIC, decides_late=True
    ),
    "pm_card_slowBankAuthenticationRequired": Card(last4="0093", authentication=True, decides_late=True),
    "pm_card_captureOnce": Card(last4="0011", multicapture=False),
    "pm_card_captureOnceAuthenticationRequired": Card(last4="0029", authentication=True, multicapture=False),
    "pm_card_threeDSecureRequired": Card(last4="3063", authentication=True),
    "pm_card_createDispute": Card(last4="0259", disputed="chargeback"),
    "pm_card_createDisputeProductNotReceived": Card(last4="2685", disputed="chargeback"),
    "pm_card_createDisputeInquiry": Card(last4="1976", disputed="inquiry"),
}


def find_card(name: str) -> Card:
    """The card behind a payment method; Stripe spells its declines with and without the brand."""
    plain = re.sub(r"^pm_card_visa_chargeDeclined", "pm_card_chargeDeclined", name)
    if plain not in _CARDS:
        raise missing("PaymentMethod", name, param="payment_method", status=400)
    return _CARDS[plain]
