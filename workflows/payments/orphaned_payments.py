"""OrphanedPaymentWorkflow returns a payment that succeeds for an order that has ended or no longer waits for it."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.payment_repair import PaymentRepairActivities
from domain.orders import FINAL_STATUSES
from domain.payment_facts import PaymentMade
from domain.reconciliation import is_orphaned
from schemas.operator_tasks import OperatorTaskCode
from schemas.payment_reconciliation import Examined, OrphanedPayment, OrphanedPaymentInput, OrphanedPaymentResult
from schemas.provider_events import ProviderEvent
from workflows.names import orphaned_payment_workflow_id
from workflows.payments.provider_events import ProviderEventInbox, start_detached_child
from workflows.payments.return_funds import Excess, FundsReturn
from workflows.reasons import reason_of
from workflows.stores import on_store
from workflows.timeline import Timeline
from workflows.waiting import run_to_completion

# An order whose payment has ended ends soon; after about a day the reconciliation takes over.
_WAITS: Sequence[timedelta] = (
    timedelta(seconds=2),
    timedelta(seconds=20),
    timedelta(minutes=2),
    timedelta(minutes=20),
    *[timedelta(hours=4)] * 6,
)


@workflow.defn
class OrphanedPaymentWorkflow:
    """retrieve → record → void or refund → record that; does nothing where the order needs the payment."""

    @workflow.init
    def __init__(self, orphan: OrphanedPaymentInput) -> None:
        self._orphan = orphan
        self._timeline = Timeline(f"Orphaned payment of order {orphan.order_id}", orphan.order_id)
        self._events = ProviderEventInbox(self._timeline, unread=True)
        self._funds_return = FundsReturn(orphan.order_id, orphan.payment_id, self._timeline)
        self._result = OrphanedPaymentResult()

    @workflow.run
    async def run(self, orphan: OrphanedPaymentInput) -> OrphanedPaymentResult:
        """Follow up every event, and return what is orphaned."""
        return await run_to_completion(self._follow(orphan), self._timeline.add)

    async def _follow(self, orphan: OrphanedPaymentInput) -> OrphanedPaymentResult:
        while self._events.take():
            if await self._is_orphaned():
                await self._return()
                await self._close(orphan)
        return self._result

    @workflow.signal
    def provider_event(self, event: ProviderEvent) -> None:
        """A verified webhook about this payment."""
        self._events.receive(event)

    async def _is_orphaned(self) -> bool:
        for wait in (*_WAITS, None):
            examined = await self._funds_return.examine()
            payment, ledger = examined.payments.get(self._orphan.payment_id), examined.ledger
            if payment is None or not payment.kept or ledger is None:
                return self._keep("no order of ours has a payment to return")
            if self._orphan.abandoned or is_orphaned(self._orphan.payment_id, ledger, examined.payments):
                return True
            if ledger.status in FINAL_STATUSES or wait is None:
                return self._keep(f"the order is {ledger.status} and its ledger has it")
            await workflow.sleep(wait, summary="until the order has ended")
        raise AssertionError

    def _keep(self, why_not: str) -> bool:
        self._timeline.add(f"no action: {why_not}")
        self._result = self._result.model_copy(update={"why_not": why_not})
        return False

    async def _return(self) -> None:
        self._funds_return.orphaned = True
        try:
            done = await self._funds_return.run(self._excess)
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            refusal = reason_of(error)
            self._timeline.needs_operator(
                [f"{refusal.message} Decide about the difference that the reconciliation finds."],
                code=OperatorTaskCode.PAYMENT_DIFFERENCE,
                route="GET /v1/ops/reconciliation/payments",
                outlasts=True,
            )
            self._result = self._result.model_copy(update={"why_not": refusal.message})
            return
        self._result = OrphanedPaymentResult(
            voided=self._result.voided + done.voided, refunded=self._result.refunded + done.refunded
        )

    def _excess(self, examined: Examined) -> Excess:
        payment: PaymentMade | None = examined.payments[self._orphan.payment_id]
        assert payment is not None
        return Excess(authorized=payment.held, captured=payment.captured - payment.refunded)

    async def _close(self, orphan: OrphanedPaymentInput) -> None:
        if self._result.voided or self._result.refunded:
            command = OrphanedPayment(order_id=orphan.order_id, payment_id=orphan.payment_id)
            await on_store(PaymentRepairActivities.close_returned, command, "close its difference", self._timeline)


async def start_orphaned_payment_child(orphan: OrphanedPaymentInput, summary: str) -> None:
    """Start it from another workflow, without waiting."""
    await start_detached_child(
        OrphanedPaymentWorkflow.run, orphan, orphaned_payment_workflow_id(orphan.payment_id), summary
    )
