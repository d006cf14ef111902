"""OrphanedPaymentWorkflow gives back a payment that succeeds when nobody waits for it any more."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.payment_repair import PaymentRepairActivities
from domain.orders import FINAL_STATUSES
from domain.payment_facts import PaymentMade
from domain.reconciliation import is_orphaned
from schemas.payment_reconciliation import Examined, OrphanedPayment, OrphanedPaymentInput, OrphanedPaymentResult
from schemas.provider_events import ProviderEvent
from workflows.names import orphaned_payment_workflow_id
from workflows.options import STORE
from workflows.payments.provider_events import ProviderEventInbox, start_detached_child
from workflows.payments.return_funds import Excess, FundsReturn
from workflows.reasons import reason_of
from workflows.timeline import Timeline
from workflows.waiting import run_to_completion

# An order whose payment is over comes to its end soon; after about a day the reconciliation minds it.
_WAITS: Sequence[timedelta] = (
    timedelta(seconds=2),
    timedelta(seconds=20),
    timedelta(minutes=2),
    timedelta(minutes=20),
    *[timedelta(hours=4)] * 6,
)


@workflow.defn
class OrphanedPaymentWorkflow:
    """ask the provider → book what came late → void or refund → book that; does nothing where the order needs it."""

    @workflow.init
    def __init__(self, late: OrphanedPaymentInput) -> None:
        self._late = late
        self._timeline = Timeline(f"Late money of order {late.order_id}")
        self._news = ProviderEventInbox(self._timeline, unread=True)
        self._money_back = FundsReturn(late.order_id, late.payment_id, self._timeline)
        self._result = OrphanedPaymentResult()

    @workflow.run
    async def run(self, late: OrphanedPaymentInput) -> OrphanedPaymentResult:
        """Look as often as there is news, and give back what is nobody's."""
        return await run_to_completion(self._follow(late), self._timeline.add)

    async def _follow(self, late: OrphanedPaymentInput) -> OrphanedPaymentResult:
        while self._news.take():
            if await self._is_nobodys():
                await self._give_back()
                await self._close(late)
        return self._result

    @workflow.signal
    def provider_event(self, event: ProviderEvent) -> None:
        """A verified webhook about this payment."""
        self._news.hear(event)

    async def _is_nobodys(self) -> bool:
        for wait in (*_WAITS, None):
            examined = await self._money_back.examine()
            payment, books = examined.payments.get(self._late.payment_id), examined.books
            if payment is None or not payment.kept or books is None:
                return self._leaves_it("nothing of an order of ours is held")
            if self._late.given_up or is_orphaned(self._late.payment_id, books, examined.payments):
                return True
            if books.status in FINAL_STATUSES or wait is None:
                return self._leaves_it(f"the order is {books.status} and its books know of it")
            await workflow.sleep(wait, summary="until the order is at its end")
        raise AssertionError

    def _leaves_it(self, why_not: str) -> bool:
        self._timeline.add(f"left as it is: {why_not}")
        self._result = self._result.model_copy(update={"why_not": why_not})
        return False

    async def _give_back(self) -> None:
        self._money_back.late = True
        try:
            done = await self._money_back.give_back(self._excess)
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            refusal = reason_of(error)
            self._timeline.owe([f"{refusal.message} The reconciliation shows it; decide there"])
            self._result = self._result.model_copy(update={"why_not": refusal.message})
            return
        self._result = OrphanedPaymentResult(
            voided=self._result.voided + done.voided, refunded=self._result.refunded + done.refunded
        )

    def _excess(self, examined: Examined) -> Excess:
        payment: PaymentMade | None = examined.payments[self._late.payment_id]
        assert payment is not None
        return Excess(hold=payment.held, charge=payment.captured - payment.refunded)

    async def _close(self, late: OrphanedPaymentInput) -> None:
        if self._result.voided or self._result.refunded:
            command = OrphanedPayment(order_id=late.order_id, payment_id=late.payment_id)
            await workflow.execute_local_activity_method(
                PaymentRepairActivities.close_returned, command, summary="nothing is open about it", **STORE
            )


async def start_orphaned_payment_child(late: OrphanedPaymentInput, summary: str) -> None:
    """Have another workflow begin it, and not wait."""
    await start_detached_child(
        OrphanedPaymentWorkflow.run, late, orphaned_payment_workflow_id(late.payment_id), summary
    )
