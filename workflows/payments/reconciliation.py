"""The workflow that compares provider, ledger and orders by the clock."""

from temporalio import workflow

from activities.payment_reconciliation import PaymentReconciliationActivities
from schemas.payment_reconciliation import (
    OrphanedPaymentInput,
    PaymentsReconciled,
    Phase,
    ReconciliationPlace,
)
from schemas.refunds import FailedRefundInput
from workflows.options import RECONCILIATION, STORE
from workflows.payments.failed_refunds import begin_failed_refund
from workflows.payments.orphaned_payments import start_orphaned_payment_child

_SHOWN = "`GET /v1/ops/reconciliation/payments` names them"


@workflow.defn
class PaymentReconciliationWorkflow:
    """Keeps what differs. By itself it gives back money that nobody ever knew of, and books refunds that failed."""

    @workflow.init
    def __init__(self) -> None:
        self._place = ReconciliationPlace()

    @workflow.run
    async def run(self) -> PaymentsReconciled:
        """Compare everything of the last days once."""
        while self._place.phase is not Phase.DONE:
            self._show("comparing")
            self._place = await workflow.execute_activity_method(
                PaymentReconciliationActivities.reconcile_payments,
                self._place,
                summary=self._place.phase.replace("_", " "),
                **RECONCILIATION,
            )
        for late in self._place.so_far.late:
            late_money = OrphanedPaymentInput(order_id=late.order_id, payment_id=late.payment_id)
            await start_orphaned_payment_child(late_money, "money that arrived when nobody waited for it any more")
        for failed in self._place.so_far.failed_refunds:
            await begin_failed_refund(FailedRefundInput(order_id=failed.order_id, provider_id=failed.provider_id))
        found = await workflow.execute_local_activity_method(
            PaymentReconciliationActivities.finish_reconciliation,
            self._place,
            summary="write down what it has come to",
            **STORE,
        )
        verdict = f"⚠ **{found.open} difference(s)**; {_SHOWN}" if found.open else "**the books agree**"
        self._show(verdict, found)
        return found

    @workflow.query
    def place(self) -> ReconciliationPlace:
        """How far it is."""
        return self._place

    def _show(self, verdict: str, found: PaymentsReconciled | None = None) -> None:
        so_far = found or self._place.so_far
        counts = (
            f"{so_far.payments:,} payment(s), {so_far.refunds:,} refund(s), {so_far.entries:,} entries of the ledger, "
            f"{so_far.orders:,} order(s) compared"
        )
        watched = f"\n- {so_far.watched} watched, because their orders are at work" if so_far.watched else ""
        late = "".join(f"\n- late money of `{one.order_id}` is given back" for one in so_far.late)
        failed = "".join(f"\n- a refund of `{one.order_id}` has failed" for one in so_far.failed_refunds)
        workflow.set_current_details(f"{verdict}\n\n{counts}{watched}{late}{failed}")
