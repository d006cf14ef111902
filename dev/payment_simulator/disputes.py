"""Disputes: a bank withdraws a payment, the merchant submits evidence or accepts, and the bank decides."""

from collections.abc import Mapping

from dev.payment_simulator import shapes, wire
from dev.payment_simulator.errors import Answer, ApiError, Json, invalid, missing
from dev.payment_simulator.events import Call, Events
from dev.payment_simulator.fees import Fees
from dev.payment_simulator.store import Store

_OPEN = ("warning_needs_response", "warning_under_review", "needs_response", "under_review")
# A merchant may not refund what the bank has withdrawn, or is about to.
_BLOCKING = ("needs_response", "under_review", "lost")
_EVIDENCE = frozenset(shapes.EVIDENCE)


class Disputes:
    """The dispute API, and the bank's side of it."""

    def __init__(self, store: Store, events: Events, fees: Fees) -> None:
        self._store = store
        self._events = events
        self._fees = fees

    def update(self, call: Call) -> Answer:
        """POST /v1/disputes/{id}: evidence, which is submitted at once unless `submit` says otherwise."""
        dispute = self._find(call.target)
        given = call.params.get("evidence") or {}
        if not isinstance(given, dict) or set(given) - _EVIDENCE:
            raise invalid("Received unknown parameter in evidence.", param="evidence")
        if dispute["status"] not in _OPEN:
            raise ApiError(400, "This dispute is already closed.", stored=True)
        dispute["metadata"] = wire.merged_metadata(dispute["metadata"], call.params)
        dispute["evidence"] |= {name: value or None for name, value in given.items()}
        details = dispute["evidence_details"]
        details["has_evidence"] = any(dispute["evidence"].values())
        if given and wire.flag(call.params, "submit", default=True):
            details["submission_count"] += 1
            dispute["status"] = f"{_warning(dispute)}under_review"
        self._save(dispute)
        self._events.emit("charge.dispute.updated", dispute, call)
        return Answer(200, dispute)

    def close(self, call: Call) -> Answer:
        """POST /v1/disputes/{id}/close: accept the dispute."""
        dispute = self._find(call.target)
        if dispute["status"] not in _OPEN:
            raise ApiError(400, "This dispute is already closed.", stored=True)
        return Answer(200, self._end(dispute, "lost", call))

    def open(
        self, charge: Json, call: Call, *, inquiry: bool = False, due_seconds: float | None = None, **terms: str
    ) -> Json:
        """The cardholder disputes the charge; an inquiry withdraws nothing yet."""
        left = charge["amount_captured"] - charge["amount_refunded"]
        if charge["status"] != "succeeded" or (not inquiry and left <= 0):
            raise ApiError(400, f"Nothing of {charge['id']} can be disputed.")
        dispute = shapes.dispute(charge, left or charge["amount"], inquiry=inquiry, due_seconds=due_seconds) | terms
        charge["disputed"] = True
        self._store.save(charge, charge["payment_intent"])
        self._save(dispute)
        self._events.emit("charge.dispute.created", dispute, call)
        if not inquiry:
            self._withdraw(dispute, call)
        return dispute

    def escalate(self, name: str, call: Call) -> Json:
        """The inquiry becomes a chargeback."""
        dispute = self._find(name)
        if not dispute["status"].startswith("warning_"):
            raise ApiError(400, "Only an inquiry can be escalated.")
        dispute["status"] = "needs_response"
        self._save(dispute)
        self._events.emit("charge.dispute.updated", dispute, call)
        self._withdraw(dispute, call)
        return dispute

    def decide(self, name: str, won: bool, fee_returned: bool, call: Call) -> Json:
        """The bank's verdict."""
        dispute = self._find(name)
        if dispute["status"] not in _OPEN:
            raise ApiError(400, "This dispute is already closed.")
        if not won:
            return self._end(dispute, "lost", call)
        if dispute["balance_transactions"]:
            self._reinstate(dispute, fee_returned, call)
        return self._end(dispute, "warning_closed" if _warning(dispute) else "won", call)

    def blocks_refund(self, charge: Json) -> bool:
        """Whether the charge was withdrawn by the cardholder's bank, or is about to be."""
        known = self._store.newest("dispute", charge["payment_intent"])
        return any(dispute["charge"] == charge["id"] and dispute["status"] in _BLOCKING for dispute in known)

    def _withdraw(self, dispute: Json, call: Call) -> None:
        fee = self._fees.of_dispute()
        self._move(dispute, -dispute["amount"], fee, "dispute", call)
        self._events.emit("charge.dispute.funds_withdrawn", dispute, call)

    def _reinstate(self, dispute: Json, fee_returned: bool, call: Call) -> None:
        fee = -self._fees.of_dispute() if fee_returned else 0
        self._move(dispute, dispute["amount"], fee, "dispute_reversal", call)
        self._events.emit("charge.dispute.funds_reinstated", dispute, call)

    def _move(self, dispute: Json, amount: int, fee: int, category: str, call: Call) -> None:
        moved = shapes.balance_transaction(dispute["id"], amount, fee, dispute["currency"], category)
        dispute["balance_transactions"].append(moved)
        self._store.save(moved, dispute["payment_intent"])
        self._save(dispute)
        intent = self._store.find("payment_intent", dispute["payment_intent"]) or {}
        self._store.record(category, intent, dispute["id"], abs(amount), call.key, call.request_id, fee)

    def _end(self, dispute: Json, status: str, call: Call) -> Json:
        dispute["status"] = status
        self._save(dispute)
        self._events.emit("charge.dispute.closed", dispute, call)
        return dispute

    def _find(self, name: str | None) -> Json:
        dispute = self._store.find("dispute", name)
        if dispute is None:
            raise missing("dispute", str(name), param="dispute")
        return dispute

    def _save(self, dispute: Json) -> None:
        self._store.save(dispute, dispute["payment_intent"])


def _warning(dispute: Mapping[str, str]) -> str:
    return "warning_" if dispute["status"].startswith("warning_") else ""
