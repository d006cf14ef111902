"""The bank: the only place where money moves, each move with its journal entry and its event."""

import time

from dev.payment_simulator import shapes
from dev.payment_simulator.cards import Card, find_card
from dev.payment_simulator.disputes import Disputes
from dev.payment_simulator.errors import Answer, ApiError, Json, unexpected_state
from dev.payment_simulator.events import Call, Events
from dev.payment_simulator.settings import Settings
from dev.payment_simulator.store import Store

_UNAUTHENTICATED = Card(
    code="authentication_required",
    decline_code="authentication_required",
    message="Your card was declined. This transaction requires authentication.",
)
_AUTHENTICATION_FAILED = Card(
    code="payment_intent_authentication_failure",
    message="The provided PaymentMethod has failed authentication. Provide a new one and try again.",
)


class Bank:
    """Takes an intent that may proceed and carries it out; called inside one transaction."""

    def __init__(self, store: Store, events: Events, settings: Settings, disputes: Disputes) -> None:
        self._store = store
        self._events = events
        self._settings = settings
        self._fees = settings.fees
        self._disputes = disputes

    def open(self, intent: Json, call: Call) -> None:
        """Keep a new intent."""
        self._save(intent)
        self._events.emit("payment_intent.created", intent, call)

    def charge(self, intent: Json, call: Call) -> Answer:
        """Try the intent's card."""
        card = find_card(intent["payment_method"])
        intent["last_payment_error"], intent["next_action"] = None, None
        if card.authentication and call.params.get("off_session", "false") != "false":
            return self._declined(intent, _UNAUTHENTICATED, call, with_charge=True)
        if card.authentication:
            return self._require_authentication(intent, call)
        return self._decide_later(intent, call) if card.decides_late else self._decide(intent, card, call)

    def authenticate(self, intent: Json, success: bool, call: Call) -> Answer:
        """The cardholder has answered the bank."""
        if intent["status"] != "requires_action":
            raise unexpected_state(intent, "authenticated", "requires_action")
        intent["next_action"] = None
        if success:
            card = find_card(intent["payment_method"])
            return self._decide_later(intent, call) if card.decides_late else self._decide(intent, card, call)
        self._declined(intent, _AUTHENTICATION_FAILED, call, with_charge=False)
        return Answer(200, intent)

    def end_processing(self, intent: Json, call: Call) -> None:
        """A slow bank decides."""
        self._decide(intent, find_card(intent["payment_method"]), call)

    def succeed_late(self, intent: Json, captured: bool, call: Call) -> Answer:
        """The payment succeeds after it was canceled or declined, as asynchronous methods can."""
        if (
            intent["status"] not in ("requires_action", "requires_payment_method", "canceled")
            or intent["amount_received"]
        ):
            raise unexpected_state(intent, "completed", "requires_action, requires_payment_method, canceled")
        intent.update(canceled_at=None, cancellation_reason=None, next_action=None, last_payment_error=None)
        intent["payment_method"] = intent["payment_method"] or "pm_card_visa"
        answer = self._accepted(intent, Card(), call)
        return self.capture(intent, intent["amount"], True, call) if captured else answer

    def allows_multicapture(self, intent: Json) -> bool:
        """Whether the intent may be captured more than once: it was requested, and the card supports it."""
        requested: object = intent["payment_method_options"]["card"].get("request_multicapture")
        return requested == "if_available" and find_card(intent["payment_method"]).multicapture

    def capture(self, intent: Json, amount: int, final: bool, call: Call) -> Answer:
        """Capture `amount` of the authorization; a final capture voids the rest."""
        charge = self._charge_of(intent)
        remaining = intent["amount_capturable"] - amount
        intent["amount_received"] += amount
        charge["amount_captured"] += amount
        charge["captured"] = True
        if amount:
            self._pay_in(intent, charge, amount)
        done = final or remaining == 0
        intent["amount_capturable"] = 0 if done else remaining
        intent["status"] = "succeeded" if done else "requires_capture"
        self._save(intent, charge)
        if amount:
            self._journal("capture", intent, charge, amount, call, self._fees.of_capture(amount))
            self._events.emit("charge.captured", charge, call)
        if done and remaining:
            self._journal("void", intent, charge, remaining, call)
        kind = "payment_intent.succeeded" if done else "payment_intent.amount_capturable_updated"
        self._events.emit(kind, intent, call)
        self._open_test_dispute(intent, charge, "chargeback", call)
        return Answer(200, intent)

    def cancel(self, intent: Json, reason: str | None, call: Call) -> Answer:
        """Void the authorization; what a multicapture has captured stays so, and the intent has then succeeded."""
        authorized = intent["amount_capturable"]
        if intent["amount_received"]:
            return self.capture(intent, 0, True, call)
        intent.update(status="canceled", amount_capturable=0, next_action=None)
        intent.update(canceled_at=int(time.time()), cancellation_reason=reason)
        self._save(intent)
        if authorized:
            charge = self._charge_of(intent)
            charge.update(refunded=True, amount_refunded=authorized)
            self._save(intent, charge)
            self._journal("void", intent, charge, authorized, call)
        self._events.emit("payment_intent.canceled", intent, call)
        return Answer(200, intent)

    def refund(self, intent: Json, charge: Json, refund: Json, call: Call) -> Answer:
        """Refund captured money; the caller has checked that there is enough of it."""
        charge["amount_refunded"] += refund["amount"]
        charge["refunded"] = charge["amount_refunded"] >= charge["amount_captured"]
        self._save(intent, charge)
        ends = find_card(charge["payment_method"]).refund_ends
        refund["status"] = "pending" if ends == "succeeded" else "succeeded"
        if ends:
            self._store.plan(refund["id"], time.time() + self._settings.refund_seconds)
        if refund["status"] == "succeeded":
            self._journal("refund", intent, refund, refund["amount"], call)
        self._store.save(refund, intent["id"])
        self._events.emit("charge.refunded", charge, call)
        return Answer(200, refund)

    def end_refund(self, refund: Json, fails: bool, call: Call) -> None:
        """Settle it as its card says, or fail it; a refund that had succeeded is then reversed."""
        intent, charge = self._store.find("payment_intent", refund["payment_intent"]), refund["charge"]
        charge = self._store.find("charge", charge)
        if intent is None or charge is None:
            raise ApiError(500, f"{refund['id']} has lost its payment", type="api_error")
        ends, was = "failed" if fails else find_card(charge["payment_method"]).refund_ends, refund["status"]
        if ends is None or was in (ends, "failed"):
            return
        refund["status"] = ends
        if ends == "succeeded":
            self._journal("refund", intent, refund, refund["amount"], call)
            self._events.emit("refund.updated", refund, call)
        else:
            refund["failure_reason"] = "expired_or_canceled_card"
            charge["amount_refunded"] -= refund["amount"]
            charge["refunded"] = False
            self._save(intent, charge)
            if was == "succeeded":
                self._journal("refund_reversal", intent, refund, refund["amount"], call)
            self._events.emit("refund.failed", refund, call)
        self._store.save(refund, intent["id"])

    def _require_authentication(self, intent: Json, call: Call) -> Answer:
        """3-D Secure: a redirect where the request has a return URL, else the SDK's own dialogue."""
        back = call.params.get("return_url")
        if back:
            url = f"{self._settings.public_url}/_control/authenticate/{intent['id']}"
            action: Json = {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": back}}
        else:
            action = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
        intent.update(status="requires_action", next_action=action)
        self._save(intent)
        self._events.emit("payment_intent.requires_action", intent, call)
        return Answer(200, intent)

    def _decide_later(self, intent: Json, call: Call) -> Answer:
        intent["status"] = "processing"
        self._save(intent)
        self._store.plan(intent["id"], time.time() + self._settings.processing_seconds)
        self._events.emit("payment_intent.processing", intent, call)
        return Answer(200, intent)

    def _decide(self, intent: Json, card: Card, call: Call) -> Answer:
        if card.code:
            return self._declined(intent, card, call, with_charge=True)
        return self._accepted(intent, card, call)

    def _accepted(self, intent: Json, card: Card, call: Call) -> Answer:
        manual = intent["capture_method"] == "manual"
        charge = shapes.charge(intent, card, captured=not manual, multicapture=self.allows_multicapture(intent))
        if manual:
            charge["payment_method_details"]["card"]["capture_before"] = charge["created"] + int(
                self._settings.authorization_seconds
            )
            self._store.plan(intent["id"], time.time() + self._settings.authorization_seconds)
        intent["latest_charge"] = charge["id"]
        intent["status"] = "requires_capture" if manual else "succeeded"
        intent["amount_capturable" if manual else "amount_received"] = intent["amount"]
        if not manual:
            self._pay_in(intent, charge, intent["amount"])
        self._save(intent, charge)
        self._journal("authorization", intent, charge, intent["amount"], call)
        if not manual:
            self._journal("capture", intent, charge, intent["amount"], call, self._fees.of_capture(intent["amount"]))
        kind = "payment_intent.amount_capturable_updated" if manual else "payment_intent.succeeded"
        self._events.emit(kind, intent, call)
        self._open_test_dispute(intent, charge, "inquiry" if manual else "chargeback", call)
        return Answer(200, intent)

    def _pay_in(self, intent: Json, charge: Json, amount: int) -> None:
        """What the merchant gets for a capture, less the fee."""
        fee = self._fees.of_capture(amount)
        paid = shapes.balance_transaction(charge["id"], amount, fee, intent["currency"], "charge")
        charge["balance_transaction"] = paid["id"]
        self._store.save(paid, intent["id"])

    def _open_test_dispute(self, intent: Json, charge: Json, how: str, call: Call) -> None:
        """Some test cards dispute their payment, once."""
        if find_card(intent["payment_method"]).disputed == how and not charge["disputed"]:
            self._disputes.open(charge, call, inquiry=how == "inquiry")

    def _declined(self, intent: Json, card: Card, call: Call, with_charge: bool) -> Answer:
        """A refusal by the bank is stored, not rolled back: the intent requires another card."""
        charge = shapes.charge(intent, card, captured=False, multicapture=False) if with_charge else None
        error = {
            "type": "card_error" if with_charge else "invalid_request_error",
            "code": card.code,
            "decline_code": card.decline_code,
            "message": card.message,
            "charge": charge["id"] if charge else None,
            "payment_method": shapes.payment_method(intent["payment_method"], card),
        }
        error = {name: value for name, value in error.items() if value is not None}
        intent.update(status="requires_payment_method", payment_method=None, last_payment_error=error)
        intent["latest_charge"] = charge["id"] if charge else intent["latest_charge"]
        self._save(intent, charge)
        self._events.emit("payment_intent.payment_failed", intent, call)
        return Answer(402, {"error": {**error, "payment_intent": intent}})

    def _charge_of(self, intent: Json) -> Json:
        charge = self._store.find("charge", intent["latest_charge"])
        if charge is None:
            raise ApiError(500, f"{intent['id']} has lost its charge", type="api_error")
        return charge

    def _save(self, intent: Json, charge: Json | None = None) -> None:
        self._store.save(intent, intent["id"])
        if charge:
            self._store.save(charge, intent["id"])

    def _journal(self, effect: str, intent: Json, moved: Json, amount: int, call: Call, fee: int = 0) -> None:
        self._store.record(effect, intent, moved["id"], amount, call.key, call.request_id, fee)
