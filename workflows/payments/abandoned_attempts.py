"""Attempts to pay that an order has given up, and what becomes of money that arrives for one of them after all."""

from temporalio import workflow

from schemas.payment_reconciliation import OrphanedPaymentInput
from schemas.provider_events import BRINGS_MONEY, ProviderEvent
from workflows.payments.orphaned_payments import start_orphaned_payment_child


class AbandonedAttempts:
    """Has a OrphanedPaymentWorkflow give back what the provider tells of, so that an order never holds money twice."""

    def __init__(self, order_id: str) -> None:
        self._order_id = order_id
        self._payments: set[str] = set()
        self._late: list[str] = []

    def add(self, provider_id: str) -> None:
        """The order does not wait for this payment any more; the provider has been asked about it."""
        if provider_id:
            self._payments.add(provider_id)

    def hear(self, event: ProviderEvent) -> None:
        """The provider tells of some payment of the order."""
        given_up = event.provider_id in self._payments and event.type in BRINGS_MONEY
        if given_up and workflow.patched("late-money"):
            self._late.append(event.provider_id)

    @property
    def late(self) -> bool:
        """Whether there is news of one that was given up."""
        return bool(self._late)

    async def give_back(self) -> None:
        """Each in a workflow of its own, which asks the provider first; one that runs already looks by itself."""
        while self._late:
            payment_id = self._late.pop(0)
            late_money = OrphanedPaymentInput(order_id=self._order_id, payment_id=payment_id, given_up=True)
            await start_orphaned_payment_child(late_money, "money of an attempt that was given up")
