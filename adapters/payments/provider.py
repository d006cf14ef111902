"""The payment provider over Stripe's wire API: one command, one call, no retries of its own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import stripe
from stripe import PaymentIntent, Refund

from adapters.payments.answers import (
    charge_of,
    declined,
    has_expired,
    intent_in,
    metadata_of,
    never_confirmed,
    refund_standing,
    refusal,
    standing,
    succeeded,
)
from adapters.payments.client import one_attempt, search_time_is_over, stripe_client
from adapters.payments.failures import failure
from adapters.settings import Settings
from domain.outside_errors import Misuse
from schemas.provider_calls import (
    AUTHORIZATION_EXPIRED,
    AbandonPayment,
    AuthorizePayment,
    CapturePayment,
    PaymentOutcome,
    ProviderResult,
    RefundPayment,
    RetrievePayment,
    RetrieveRefund,
    VoidPayment,
)

PAGE = 100  # the most the provider gives at once
_CLOCKS_DIFFER = timedelta(minutes=10)
_WITH_FEE = "latest_charge.balance_transaction"


class PaymentProvider:
    """Authorizes, captures, voids and refunds payments.

    A bank's refusal is a result. An outage raises ProviderUnavailable: the outcome is then unknown, or NothingDone
    where it is known that there is none; sending the same command again, with its idempotency key, is safe. Where the
    provider stores a failure under that key, which then says nothing about what it did, OutcomeUnknown is raised. A
    request the provider calls wrong raises Misuse, as does an authorization of another amount than requested.
    """

    def __init__(self, settings: Settings) -> None:
        client = stripe_client(settings)
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds
        self._customers = client.v1.customers

    @one_attempt()
    def authorize(self, command: AuthorizePayment) -> ProviderResult:
        """Authorize the amount; nothing is authorized yet when the customer has to confirm it with their bank.

        Where an earlier attempt may have done so, its payment is searched for first. A search that takes longer than an
        attempt is `pending` and says where it is to be continued.
        """
        earlier, after = self._earlier_payment(command)
        if after is not None:
            return ProviderResult(outcome=PaymentOutcome.PENDING, search_after=after)
        try:
            intent = earlier or self._create(command)
            if never_confirmed(intent):
                intent = self._confirm(intent.id, command)
        except stripe.InvalidRequestError as error:
            if not command.off_session:
                return refusal(error)
            return declined(intent_in(error).get("id"), error.code or "method_not_usable", error)
        except stripe.StripeError as error:
            return refusal(error)
        if never_confirmed(intent):
            raise Misuse(f"the provider left {intent.id} {intent.status}", "unexpected_status")
        return self._as_requested(intent, command)

    @one_attempt()
    def retrieve(self, command: RetrievePayment) -> ProviderResult:
        """The payment's state now, whatever any webhook has said."""
        return self._as_requested(self._retrieve(command.provider_id), command)

    @one_attempt()
    def abandon(self, command: AbandonPayment) -> ProviderResult:
        """Cancel a payment that the customer has not confirmed. A confirmed one stays as it is.

        So does one that the bank is still deciding about: that cannot be stopped.
        """
        intent = self._retrieve(command.provider_id)
        if intent.status == "requires_action" or never_confirmed(intent):
            try:
                self._cancel(command.provider_id, command.idempotency_key)
            except stripe.StripeError as error:
                if intent_in(error).get("status") in (None, intent.status):
                    raise failure(error) from error
            intent = self._retrieve(command.provider_id)
        return self._as_requested(intent, command)

    @one_attempt()
    def capture(self, command: CapturePayment) -> ProviderResult:
        """Capture so much of the authorization; after the final capture the rest of it is voided.

        An expired authorization is a result, with the code `authorization_expired`.
        """
        if command.unknown_since is not None:
            known = self._retrieve(command.provider_id, _WITH_FEE)
            if (known.amount_received or 0) >= command.captured + command.amount:
                return succeeded(command.provider_id, command.amount, _fee(known))
        try:
            intent = self._intents.capture(
                command.provider_id,
                {"amount_to_capture": command.amount, "final_capture": command.final, "expand": [_WITH_FEE]},
                {"idempotency_key": command.idempotency_key},
            )
        except stripe.InvalidRequestError as error:
            if has_expired(error, command.captured):
                return declined(command.provider_id, AUTHORIZATION_EXPIRED, error)
            return refusal(error)
        except stripe.StripeError as error:
            return refusal(error)
        return succeeded(intent.id, command.amount, _fee(intent))

    @one_attempt()
    def void(self, command: VoidPayment) -> ProviderResult:
        """Void what is authorized and not captured; that nothing is authorized any more is a success, too.

        The amount is what was voided, now or before: less than the authorization where some of it was captured.
        """
        return succeeded(command.provider_id, self._void(command.provider_id, command.idempotency_key))

    @one_attempt()
    def refund(self, command: RefundPayment) -> ProviderResult:
        """Refund so much of what was captured.

        What the provider refuses, such as a payment under dispute, is a result. So is
        `pending`: it has accepted the refund, and the bank may still refuse it.
        """
        try:
            refund = self._refund_of(command) if command.unknown_since else None
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
            return declined(command.provider_id, error.code or "refund_refused", error)
        except stripe.StripeError as error:
            raise failure(error) from error
        return refund_standing(refund)

    @one_attempt()
    def retrieve_refund(self, command: RetrieveRefund) -> ProviderResult:
        """The refund's state now."""
        try:
            return refund_standing(self._refunds.retrieve(command.provider_id))
        except stripe.StripeError as error:
            raise failure(error) from error

    def _create(self, command: AuthorizePayment) -> PaymentIntent:
        customer = self._customer_for(command) if command.keep_method else command.customer
        return self._intents.create(_parameters(command, customer), {"idempotency_key": command.idempotency_key})

    def _confirm(self, provider_id: str, command: AuthorizePayment) -> PaymentIntent:
        """Confirm a payment that was created and no more."""
        key = f"{command.idempotency_key}:confirm"
        return self._intents.confirm(provider_id, _confirming(command), {"idempotency_key": key})

    def _as_requested(
        self, intent: PaymentIntent, command: AuthorizePayment | RetrievePayment | AbandonPayment
    ) -> ProviderResult:
        """Its state as a result; an authorization of another amount than requested is voided, and is our bug."""
        result = standing(intent)
        if result.outcome is not PaymentOutcome.SUCCEEDED or command.amount is None:
            return result
        held, requested = (result.amount, intent.currency.upper()), (command.amount, command.currency)
        if held != requested:
            self._void(intent.id, f"{intent.id}:not-as-requested")
            raise Misuse(
                f"{intent.id} authorized {held}, and {requested} was requested; it was voided",
                "amount_not_as_requested",
            )
        return result

    def _void(self, provider_id: str, idempotency_key: str) -> int:
        """Cancel it; how much of it was voided, now or before."""
        try:
            intent = self._cancel(provider_id, idempotency_key).to_dict()
        except stripe.StripeError as error:
            intent = intent_in(error)
            if intent.get("status") not in ("canceled", "succeeded"):
                raise failure(error) from error
        return int(intent["amount"]) - int(intent.get("amount_received") or 0)

    def _customer_for(self, command: AuthorizePayment) -> str:
        """The customer the method is saved for: one per payment, because the provider saves none without a customer."""
        customer: Any = {"metadata": {"order_id": command.order_id}}
        try:
            return self._customers.create(customer, {"idempotency_key": f"{command.idempotency_key}:customer"}).id
        except stripe.StripeError as error:
            raise failure(error) from error

    def _earlier_payment(self, command: AuthorizePayment) -> tuple[PaymentIntent | None, str | None]:
        """The payment of an earlier attempt at this step, or where the search for it is to be continued.

        Listed, because the provider's search lags behind; newest first, so that a place in the list stays one.
        """
        if command.unknown_since is None:
            return None, None
        begun = min(command.unknown_since, datetime.now(UTC)) - _CLOCKS_DIFFER
        after = command.search_after
        while True:
            window: Any = {"created": {"gte": int(begun.timestamp())}, "limit": PAGE, "expand": ["data.latest_charge"]}
            try:
                page = self._intents.list(window | ({"starting_after": after} if after else {}))
            except stripe.StripeError as error:
                raise failure(error) from error
            found = next((intent for intent in page.data if metadata_of(intent).get("step") == command.step), None)
            if found is not None or not page.has_more:
                return found, None
            after = page.data[-1].id
            if search_time_is_over():
                return None, after

    def _refund_of(self, command: RefundPayment) -> Refund | None:
        listed = self._refunds.list({"payment_intent": command.provider_id, "limit": 100}).auto_paging_iter()
        return next((refund for refund in listed if metadata_of(refund).get("refund_id") == command.refund_id), None)

    def _retrieve(self, provider_id: str, expand: str = "latest_charge") -> PaymentIntent:
        try:
            return self._intents.retrieve(provider_id, {"expand": [expand]})
        except stripe.StripeError as error:
            raise failure(error) from error

    def _cancel(self, provider_id: str, idempotency_key: str) -> PaymentIntent:
        reason = "abandoned"
        return self._intents.cancel(provider_id, {"cancellation_reason": reason}, {"idempotency_key": idempotency_key})


def _parameters(command: AuthorizePayment, customer: str | None) -> Any:
    parameters: dict[str, object] = {
        "amount": command.amount,
        "currency": command.currency.lower(),
        "allowed_payment_method_types": ["card"],
        # An order may leave in several parcels, and each is paid for when it leaves.
        "payment_method_options": {"card": {"request_multicapture": "if_available"}},
        "capture_method": "manual",
        "confirm": True,
        "metadata": {"order_id": command.order_id, "step": command.step},
    }
    if customer:
        parameters["customer"] = customer
    if command.keep_method:
        parameters["setup_future_usage"] = "off_session"
    return parameters | _confirming(command)


def _confirming(command: AuthorizePayment) -> Any:
    """The parameters of a confirmation, at once or later."""
    parameters: dict[str, object] = {"payment_method": command.payment_method, "expand": ["latest_charge"]}
    if command.off_session:
        parameters["off_session"] = True
    if command.return_url:
        parameters["return_url"] = command.return_url
    return parameters


def _fee(intent: PaymentIntent) -> int:
    """What the provider keeps of the last capture; captures of a payment come one after the other."""
    paid_in = charge_of(intent).get("balance_transaction")
    return max(0, int(paid_in.get("fee") or 0)) if isinstance(paid_in, dict) else 0
