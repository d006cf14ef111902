"""Refunds of captured money."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from schemas.provider_calls import ProviderResult, RefundPayment, RetrieveRefund
from schemas.refunds import RefundInput, RefundOpened, RefundReversed, RefundView, ReverseRefund, SettleRefund

if TYPE_CHECKING:
    from adapters.mysql.payments.refunds import Refunds
    from adapters.payments.provider import PaymentProvider


class RefundActivities:
    """The call to the provider is a regular activity; its records before and after are local ones."""

    def __init__(self, provider: "PaymentProvider", refunds: "Refunds") -> None:
        self._provider = provider
        self._refunds = refunds

    @activity.defn
    def open_refund(self, command: RefundInput) -> RefundOpened:
        """Record the refund, so that its money cannot be refunded twice."""
        with typed_failures():
            return self._refunds.open(command)

    @activity.defn
    def refund_payment(self, command: RefundPayment) -> ProviderResult:
        """Refund the money at the provider."""
        with typed_failures():
            return self._provider.refund(command)

    @activity.defn
    def retrieve_refund(self, command: RetrieveRefund) -> ProviderResult:
        """Ask for the state of a pending refund."""
        with typed_failures():
            return self._provider.retrieve_refund(command)

    @activity.defn
    def settle_refund(self, command: SettleRefund) -> RefundView:
        """Book the refund, or record why it failed."""
        with typed_failures():
            return self._refunds.settle(command)

    @activity.defn
    def reverse_refund(self, command: ReverseRefund) -> RefundReversed:
        """Book that a refund failed after it had succeeded."""
        with typed_failures():
            return self._refunds.reverse(command)
