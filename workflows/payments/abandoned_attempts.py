"""Payment attempts that an order has abandoned, and what becomes of one that succeeds all the same."""

from schemas.payment_reconciliation import OrphanedPaymentInput
from schemas.provider_events import BRINGS_MONEY, ProviderEvent
from workflows.payments.orphaned_payments import start_orphaned_payment_child


class AbandonedAttempts:
    """Has an OrphanedPaymentWorkflow return what succeeds, so that an order is never paid twice."""

    def __init__(self, order_id: str) -> None:
        self._order_id = order_id
        self._payments: set[str] = set()
        self._orphaned: list[str] = []

    def add(self, provider_id: str) -> None:
        """The order no longer waits for this payment, and the provider was asked about it."""
        if provider_id:
            self._payments.add(provider_id)

    def apply(self, event: ProviderEvent) -> None:
        """An event about some payment of the order."""
        if event.provider_id in self._payments and event.type in BRINGS_MONEY:
            self._orphaned.append(event.provider_id)

    @property
    def orphaned(self) -> bool:
        """Whether one of them may have succeeded."""
        return bool(self._orphaned)

    async def return_funds(self) -> None:
        """Each in a workflow of its own, which asks the provider first; one that runs already checks by itself."""
        while self._orphaned:
            payment_id = self._orphaned.pop(0)
            orphan = OrphanedPaymentInput(order_id=self._order_id, payment_id=payment_id, abandoned=True)
            await start_orphaned_payment_child(orphan, "an abandoned attempt that has succeeded")
