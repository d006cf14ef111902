"""What is written when the books of payments are made to agree."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from domain.actors import SYSTEM_ACTOR
from schemas.payment_reconciliation import (
    CatchUp,
    CaughtUp,
    CorrectStatus,
    DecideDifference,
    OrphanedPayment,
    PaymentDifference,
    SettleDifference,
)
from schemas.payments import PaymentRecorded

if TYPE_CHECKING:
    from adapters.mysql.payments.differences import PaymentDifferences
    from adapters.mysql.payments.facts import PaymentFactsReader


class PaymentRepairActivities:
    """Short transactions, all of them local activities."""

    def __init__(self, books: "PaymentFactsReader", differences: "PaymentDifferences") -> None:
        self._books = books
        self._differences = differences

    @activity.defn
    def catch_up_ledger(self, command: CatchUp) -> CaughtUp:
        """Write what the ledger lacks of a payment."""
        with typed_failures():
            return self._books.catch_up(command)

    @activity.defn
    def correct_payment_status(self, command: CorrectStatus) -> PaymentRecorded:
        """Have the order show what the ledger's sums say."""
        with typed_failures():
            return self._books.correct_status(command)

    @activity.defn
    def decide_difference(self, command: DecideDifference) -> PaymentDifference:
        """Note an operator's decision."""
        with typed_failures():
            return self._differences.decide(command)

    @activity.defn
    def settle_difference(self, command: SettleDifference) -> PaymentDifference:
        """Note how a repair has ended."""
        with typed_failures():
            return self._differences.settle(command)

    @activity.defn
    def close_returned(self, late: OrphanedPayment) -> None:
        """Nothing is open any more about money that has been given back."""
        self._differences.returned(late.payment_id, SYSTEM_ACTOR)
