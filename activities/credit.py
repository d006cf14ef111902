"""Store credit of an order: kept, taken, given back. All of it is in our own books."""

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
        """Keep the customer's credit for the order, as much as it can use."""
        with typed_failures():
            return self._credit.hold(command)

    @activity.defn
    def capture_credit(self, command: CaptureCredit) -> CreditMoved:
        """Take credit that is held."""
        with typed_failures():
            return self._credit.capture(command)

    @activity.defn
    def void_credit(self, command: VoidCredit) -> CreditMoved:
        """Give back what is held: the undo of holding it."""
        with typed_failures():
            return self._credit.release(command)
