"""Store credit of an order: kept, taken, given back. All of it is in our own books."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from schemas.credit import CaptureCredit, CreditMoved, HoldCredit, ReleaseCredit

if TYPE_CHECKING:
    from adapters.mysql.credit import StoreCredit


class CreditActivities:
    """Each is one short transaction: a local activity."""

    def __init__(self, credit: "StoreCredit") -> None:
        self._credit = credit

    @activity.defn
    def hold_credit(self, command: HoldCredit) -> CreditMoved:
        """Keep the customer's credit for the order, as much as it can use."""
        with typed_failures():
            return self._credit.hold(command)

    @activity.defn
    def capture_credit(self, command: CaptureCredit) -> CreditMoved:
        """Take credit that is held."""
        with typed_failures():
            return self._credit.capture(command)

    @activity.defn
    def release_credit(self, command: ReleaseCredit) -> CreditMoved:
        """Give back what is held: the undo of holding it."""
        with typed_failures():
            return self._credit.release(command)
