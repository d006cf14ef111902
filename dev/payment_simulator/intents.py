"""PaymentIntents: the requests that make and change them, checked as Stripe checks."""

import re

from dev.payment_simulator import shapes, wire
from dev.payment_simulator.bank import Bank
from dev.payment_simulator.cards import find_card
from dev.payment_simulator.customers import check_customer
from dev.payment_simulator.errors import Answer, ApiError, Json, invalid, missing, unexpected_state
from dev.payment_simulator.events import Call
from dev.payment_simulator.store import Store

_CAPTURE_METHODS = ("automatic", "automatic_async", "manual")
_OPEN = ("requires_payment_method", "requires_confirmation")
# Not while the bank decides.
_CANCELLABLE = ("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action")
_CANCEL_REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")


def find_intent(store: Store, name: str | None) -> Json:
    """An intent or Stripe's 404."""
    intent = store.find("payment_intent", name)
    if intent is None:
        raise missing("payment_intent", str(name))
    return intent


class Intents:
    """The PaymentIntent API; the bank decides about the money."""

    def __init__(self, store: Store, bank: Bank) -> None:
        self._store = store
        self._bank = bank

    def create(self, call: Call) -> Answer:
        """POST /v1/payment_intents."""
        check_customer(self._store, call.params)
        intent = shapes.intent(_requested(call.params))
        confirm = wire.flag(call.params, "confirm")
        if intent["payment_method"]:
            find_card(intent["payment_method"])
        elif confirm:
            raise _no_payment_method(intent)
        intent["status"] = "requires_confirmation" if intent["payment_method"] else "requires_payment_method"
        self._bank.open(intent, call)
        return self._bank.charge(intent, call) if confirm else Answer(200, intent)

    def retrieve(self, call: Call) -> Answer:
        """GET /v1/payment_intents/{id}."""
        return Answer(200, find_intent(self._store, call.target))

    def update(self, call: Call) -> Answer:
        """POST /v1/payment_intents/{id}."""
        intent = find_intent(self._store, call.target)
        changes: Json = {"metadata": wire.merged_metadata(intent["metadata"], call.params)}
        for name in ("description", "customer", "receipt_email"):
            changes[name] = wire.text(call.params, name) or intent[name]
        if "amount" in call.params or "payment_method" in call.params:
            if intent["status"] not in _OPEN:
                raise unexpected_state(intent, "updated", ", ".join(_OPEN))
            if "amount" in call.params:
                changes["amount"] = _amount(call.params, intent["currency"])
            if method := wire.text(call.params, "payment_method"):
                find_card(method)
                changes.update(payment_method=method, status="requires_confirmation")
        intent.update(changes)
        self._store.save(intent, intent["id"])
        return Answer(200, intent)

    def confirm(self, call: Call) -> Answer:
        """POST /v1/payment_intents/{id}/confirm."""
        intent = find_intent(self._store, call.target)
        if intent["status"] not in (*_OPEN, "requires_action"):
            raise unexpected_state(intent, "confirmed", ", ".join((*_OPEN, "requires_action")))
        name = wire.text(call.params, "payment_method") or intent["payment_method"]
        if name is None:
            raise _no_payment_method(intent)
        find_card(name)
        intent["payment_method"] = name
        intent["payment_method_options"] = _options(call.params, intent["payment_method_options"])
        return self._bank.charge(intent, call)

    def capture(self, call: Call) -> Answer:
        """POST /v1/payment_intents/{id}/capture."""
        intent = find_intent(self._store, call.target)
        final = wire.flag(call.params, "final_capture", default=True)
        requested = wire.integer(call.params, "amount_to_capture")
        if intent["status"] != "requires_capture":
            raise unexpected_state(intent, "captured", "requires_capture")
        if not final and not self._bank.allows_multicapture(intent):
            message = "This PaymentIntent cannot use final_capture=false: multicapture is not available for it."
            raise ApiError(400, message, stored=True, param="final_capture")
        capturable = intent["amount_capturable"]
        amount = capturable if requested is None else requested
        if amount > capturable:
            message = (
                f"The amount_to_capture ({amount}) is greater than the remaining capturable amount ({capturable}) "
                "of this PaymentIntent."
            )
            raise ApiError(400, message, stored=True, code="amount_too_large", param="amount_to_capture")
        # Zero with final_capture only voids what a multicapture has not captured.
        if amount < 0 or (amount == 0 and not (final and intent["amount_received"])):
            raise invalid("This value must be greater than or equal to 1.", param="amount_to_capture")
        intent["metadata"] = wire.merged_metadata(intent["metadata"], call.params)
        return self._bank.capture(intent, amount, final, call)

    def cancel(self, call: Call) -> Answer:
        """POST /v1/payment_intents/{id}/cancel."""
        intent = find_intent(self._store, call.target)
        reason = wire.choice(call.params, "cancellation_reason", _CANCEL_REASONS, None)
        if intent["status"] not in _CANCELLABLE:
            raise unexpected_state(intent, "canceled", ", ".join(_CANCELLABLE))
        return self._bank.cancel(intent, reason, call)


def _no_payment_method(intent: Json) -> ApiError:
    message = (
        "You cannot confirm this PaymentIntent because it's missing a payment method. "
        "Update the PaymentIntent with a payment method or pass one when confirming."
    )
    return ApiError(400, message, code="payment_intent_unexpected_state", payment_intent=intent)


def _requested(params: Json) -> Json:
    """What a creating request decides, validated."""
    currency = wire.required(params, "currency").lower()
    if not re.fullmatch("[a-z]{3}", currency):
        raise invalid(f"Invalid currency: {currency}.", param="currency")
    automatic = params.get("automatic_payment_methods")
    options = automatic if isinstance(automatic, dict) else {}
    types = params.get("payment_method_types", ["card"])
    if not isinstance(types, list):
        raise invalid("Invalid array: payment_method_types", param="payment_method_types")
    texts = "customer description payment_method receipt_email setup_future_usage statement_descriptor_suffix"
    return {
        "amount": _amount(params, currency),
        "currency": currency,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True} | options if options else None,
        "capture_method": wire.choice(params, "capture_method", _CAPTURE_METHODS, "automatic_async"),
        "metadata": wire.merged_metadata({}, params),
        "payment_method_options": _options(params, {"card": {"request_three_d_secure": "automatic"}}),
        "payment_method_types": types,
        "shipping": params.get("shipping"),
        "transfer_group": wire.text(params, "transfer_group"),
        **{name: wire.text(params, name) for name in texts.split()},
    }


def _options(params: Json, current: Json) -> Json:
    given = params.get("payment_method_options")
    card = given.get("card") if isinstance(given, dict) else None
    return {**current, "card": {**current["card"], **card}} if isinstance(card, dict) else current


def _amount(params: Json, currency: str) -> int:
    amount = wire.integer(params, "amount")
    if amount is None:
        raise invalid("Missing required param: amount.", param="amount", code="parameter_missing")
    if amount < 1:
        raise invalid("Invalid positive integer", param="amount", code="parameter_invalid_integer")
    if amount < (30 if currency == "gbp" else 50):
        raise invalid("Amount must be at least the minimum charge amount.", param="amount", code="amount_too_small")
    if amount > 99_999_999:
        raise invalid("Amount must be no more than 99999999.", param="amount", code="amount_too_large")
    return amount
