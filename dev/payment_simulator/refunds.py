"""Refunds, limited by what was captured and not yet refunded."""

from dev.payment_simulator import shapes, wire
from dev.payment_simulator.bank import Bank
from dev.payment_simulator.disputes import Disputes
from dev.payment_simulator.errors import Answer, ApiError, Json, invalid, missing
from dev.payment_simulator.events import Call
from dev.payment_simulator.store import Store

_REASONS = ("duplicate", "fraudulent", "requested_by_customer")


class Refunds:
    """The refund API."""

    def __init__(self, store: Store, bank: Bank, disputes: Disputes) -> None:
        self._store = store
        self._bank = bank
        self._disputes = disputes

    def create(self, call: Call) -> Answer:
        """POST /v1/refunds."""
        charge = self._charge(call.params)
        amount = wire.integer(call.params, "amount")
        reason = wire.choice(call.params, "reason", _REASONS, None)
        metadata = wire.merged_metadata({}, call.params)
        if amount is not None and amount < 1:
            raise invalid("Invalid positive integer", param="amount", code="parameter_invalid_integer")
        if self._disputes.blocks_refund(charge):
            message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
            raise ApiError(400, message, stored=True, code="charge_disputed")
        left = charge["amount_captured"] - charge["amount_refunded"]
        if charge["captured"] and left == 0:
            message = f"Charge {charge['id']} has already been refunded."
            raise ApiError(400, message, stored=True, code="charge_already_refunded")
        requested = left if amount is None else amount
        if requested > left:
            message = f"Refund amount ({requested}) is greater than unrefunded amount on charge ({left})"
            raise ApiError(400, message, stored=True, param="amount")
        intent = self._store.find("payment_intent", charge["payment_intent"])
        if intent is None:
            raise missing("payment_intent", charge["payment_intent"])
        return self._bank.refund(intent, charge, shapes.refund(charge, requested, reason, metadata), call)

    def _charge(self, params: Json) -> Json:
        """The charge to refund; an intent stands for its latest charge, which must be captured."""
        intent_id, charge_id = wire.text(params, "payment_intent"), wire.text(params, "charge")
        if intent_id:
            intent = self._store.find("payment_intent", intent_id)
            if intent is None:
                raise missing("payment_intent", intent_id, param="payment_intent")
            charge_id = intent["latest_charge"]
        elif charge_id is None:
            raise invalid("One of the following params should be provided for this request: payment_intent or charge.")
        charge = self._store.find("charge", charge_id)
        if charge is None and not intent_id:
            raise missing("charge", str(charge_id), param="charge")
        if charge is None or not charge["captured"]:
            message = f"This PaymentIntent ({intent_id or charge_id}) does not have a successful charge to refund."
            raise ApiError(400, message, stored=True, code="payment_intent_unexpected_state")
        return charge
