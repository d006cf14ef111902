"""Giving captured money back."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from schemas.payments import ProviderResult, RefundPayment, RetrieveRefund
from schemas.refunds import RefundInput, RefundOpened, RefundReversed, RefundView, ReverseRefund, SettleRefund

if TYPE_CHECKING:
    from adapters.mysql.payments.refunds import Refunds
    from adapters.payments.provider import PaymentProvider


class RefundActivities:
    """The call to the provider is a regular activity; what is noted before and after it are local ones."""

    def __init__(self, provider: "PaymentProvider", refunds: "Refunds") -> None:
        self._provider = provider
        self._refunds = refunds

    @activity.defn
    def open_refund(self, command: RefundInput) -> RefundOpened:
        """Note the refund, so that its money can be promised to nobody else."""
        with typed_failures():
            return self._refunds.open(command)

    @activity.defn
    def refund_payment(self, command: RefundPayment) -> ProviderResult:
        """Give the money back."""
        with typed_failures():
            return self._provider.refund(command)

    @activity.defn
    def retrieve_refund(self, command: RetrieveRefund) -> ProviderResult:
        """Ask how a refund stands that the bank had yet to accept."""
        with typed_failures():
            return self._provider.retrieve_refund(command)

    @activity.defn
    def settle_refund(self, command: SettleRefund) -> RefundView:
        """Book what was given back, or note why it was not."""
        with typed_failures():
            return self._refunds.settle(command)

    @activity.defn
    def reverse_refund(self, command: ReverseRefund) -> RefundReversed:
        """Book that what was given back has come back to us."""
        with typed_failures():
            return self._refunds.reverse(command)
