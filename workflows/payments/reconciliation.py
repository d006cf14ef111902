"""PaymentReconciliationWorkflow compares provider, ledger and orders on a schedule."""

from temporalio import workflow

from activities.payment_reconciliation import PaymentReconciliationActivities
from schemas.payment_reconciliation import (
    OrphanedPaymentInput,
    PaymentsReconciled,
    Phase,
    ReconciliationPlace,
)
from schemas.refunds import FailedRefundInput
from workflows.names import PAYMENT_RECONCILIATION_ID
from workflows.options import RECONCILIATION
from workflows.payments.failed_refunds import start_failed_refund_child
from workflows.payments.orphaned_payments import start_orphaned_payment_child
from workflows.schedule_runs import record_success
from workflows.stores import on_store
from workflows.timeline import Timeline

_SHOWN = "`GET /v1/ops/reconciliation/payments` lists them"


@workflow.defn
class PaymentReconciliationWorkflow:
    """Records differences. By itself it returns orphaned payments, and records refunds that failed later."""

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
        for found_orphan in self._place.so_far.orphaned:
            orphan = OrphanedPaymentInput(order_id=found_orphan.order_id, payment_id=found_orphan.payment_id)
            await start_orphaned_payment_child(orphan, "an orphaned payment that the reconciliation found")
        for failed in self._place.so_far.failed_refunds:
            await start_failed_refund_child(FailedRefundInput(order_id=failed.order_id, provider_id=failed.provider_id))
        found = await on_store(
            PaymentReconciliationActivities.finish_reconciliation,
            self._place,
            "record the result",
            Timeline("Reconciliation of payments"),
        )
        verdict = f"⚠ **{found.open} difference(s)**; {_SHOWN}" if found.open else "**no differences**"
        self._show(verdict, found)
        await record_success(PAYMENT_RECONCILIATION_ID)
        return found

    @workflow.query
    def place(self) -> ReconciliationPlace:
        """How far the run is."""
        return self._place

    def _show(self, verdict: str, found: PaymentsReconciled | None = None) -> None:
        so_far = found or self._place.so_far
        counts = (
            f"{so_far.payments:,} payment(s), {so_far.refunds:,} refund(s), {so_far.entries:,} entries of the ledger, "
            f"{so_far.orders:,} order(s) compared"
        )
        watched = f"\n- {so_far.watched} watched, because their orders are running" if so_far.watched else ""
        orphaned = "".join(f"\n- orphaned payment of `{orphan.order_id}` is returned" for orphan in so_far.orphaned)
        failed = "".join(f"\n- a refund of `{refund.order_id}` has failed" for refund in so_far.failed_refunds)
        workflow.set_current_details(f"{verdict}\n\n{counts}{watched}{orphaned}{failed}")
