"""Store credit of an order: authorized, captured, voided, in our own database alone."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from schemas.credit import AuthorizeCredit, CaptureCredit, CreditMoved, VoidCredit

if TYPE_CHECKING:
    from adapters.mysql.payments.credit import StoreCredit


class CreditActivities:
    """Each is one short transaction: a local activity."""

    def __init__(self, credit: "StoreCredit") -> None:
        self._credit = credit

    @activity.defn
    def authorize_credit(self, command: AuthorizeCredit) -> CreditMoved:
        """Authorize the customer's credit for the order, as much as it can use."""
        with typed_failures():
            return self._credit.authorize(command)

    @activity.defn
    def capture_credit(self, command: CaptureCredit) -> CreditMoved:
        """Capture authorized credit."""
        with typed_failures():
            return self._credit.capture(command)

    @activity.defn
    def void_credit(self, command: VoidCredit) -> CreditMoved:
        """Void authorized credit: the compensation of authorizing it."""
        with typed_failures():
            return self._credit.void(command)
