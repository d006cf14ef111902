"""Repairs of payment differences: what they write."""

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

    def __init__(self, facts: "PaymentFactsReader", differences: "PaymentDifferences") -> None:
        self._facts = facts
        self._differences = differences

    @activity.defn
    def catch_up_ledger(self, command: CatchUp) -> CaughtUp:
        """Write the missing ledger entries of a payment."""
        with typed_failures():
            return self._facts.catch_up(command)

    @activity.defn
    def correct_payment_status(self, command: CorrectStatus) -> PaymentRecorded:
        """Set the order's payment status by the ledger's sums."""
        with typed_failures():
            return self._facts.correct_status(command)

    @activity.defn
    def decide_difference(self, command: DecideDifference) -> PaymentDifference:
        """Record an operator's decision."""
        with typed_failures():
            return self._differences.decide(command)

    @activity.defn
    def settle_difference(self, command: SettleDifference) -> PaymentDifference:
        """Record how a repair has ended."""
        with typed_failures():
            return self._differences.settle(command)

    @activity.defn
    def close_returned(self, orphaned: OrphanedPayment) -> None:
        """Close the differences of an orphaned payment that was returned."""
        self._differences.returned(orphaned.payment_id, SYSTEM_ACTOR)
