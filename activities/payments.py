"""Payments at the provider, and their ledger entries."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from schemas.payments import PaymentRecorded, RecordDecline, RecordPayment
from schemas.provider_calls import (
    AbandonPayment,
    AuthorizePayment,
    CapturePayment,
    ProviderResult,
    RetrievePayment,
    VoidPayment,
)

if TYPE_CHECKING:
    from adapters.mysql.payments.ledger import Ledger
    from adapters.payments.provider import PaymentProvider


class PaymentActivities:
    """Calls to the provider are regular activities; ledger entries are local ones."""

    def __init__(self, provider: "PaymentProvider", ledger: "Ledger") -> None:
        self._provider = provider
        self._ledger = ledger

    @activity.defn
    def authorize_payment(self, command: AuthorizePayment) -> ProviderResult:
        """Authorize the amount on the customer's payment method."""
        with typed_failures():
            return self._provider.authorize(command)

    @activity.defn
    def retrieve_payment(self, command: RetrievePayment) -> ProviderResult:
        """Ask for the state of a payment that the customer has to confirm with their bank."""
        with typed_failures():
            return self._provider.retrieve(command)

    @activity.defn
    def abandon_payment(self, command: AbandonPayment) -> ProviderResult:
        """Cancel a payment that waits for the customer's bank, unless it has succeeded meanwhile."""
        with typed_failures():
            return self._provider.abandon(command)

    @activity.defn
    def capture_payment(self, command: CapturePayment) -> ProviderResult:
        """Capture an authorized amount."""
        with typed_failures():
            return self._provider.capture(command)

    @activity.defn
    def void_payment(self, command: VoidPayment) -> ProviderResult:
        """Void the authorization: the compensation of authorizing."""
        with typed_failures():
            return self._provider.void(command)

    @activity.defn
    def record_payment(self, command: RecordPayment) -> PaymentRecorded:
        """Write one ledger entry with its event."""
        with typed_failures():
            return self._ledger.record(command)

    @activity.defn
    def record_decline(self, command: RecordDecline) -> PaymentRecorded:
        """Record that the bank declined."""
        with typed_failures():
            return self._ledger.record_decline(command)
