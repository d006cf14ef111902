"""AdoptionWorkflow ends an order rightly whose own workflow is gone."""

from temporalio import workflow

from activities.orders import OrderActivities
from domain.orders import FINAL_STATUSES, OrderStatus
from schemas.checkout import CheckoutAnswer, CheckoutInput, CheckoutOutcome, CheckoutResult
from schemas.order_requests import CancelOrder
from schemas.orders import AdoptedOrder, AdoptOrder
from workflows.orders.checkout import CheckoutWorkflow
from workflows.reasons import CANCELLED, Reason
from workflows.stores import on_store
from workflows.waiting import run_to_completion

ADOPTED = "adopted"
_INTERRUPTED = "The order was interrupted and could not be completed."
_BEING_UNDONE = (OrderStatus.CANCELLING, OrderStatus.COMPENSATION_BLOCKED)


@workflow.defn
class AdoptionWorkflow(CheckoutWorkflow):
    """read what is recorded → stop what was not dispatched → capture what was → void and release the rest → follow.

    It has the id of the order's own workflow, and its signals and updates: there is never more than one of both. What
    may run on of the order, its payment and its parcels, goes on; what is gone as well is replaced.
    """

    @workflow.init
    def __init__(self, order: CheckoutInput) -> None:
        super().__init__(order)
        self._stopped_before: list[int] = []
        self._status_before: OrderStatus | None = None

    @workflow.run
    async def run(self, order: CheckoutInput) -> CheckoutResult:
        """Run the compensations of every step that the order may have taken, and follow what was dispatched."""
        assert order.adoption is not None
        self._saga.compensating = True  # what a customer may ask of an order in progress is too late
        self._cancellation.by = CancelOrder(actor=order.adoption.actor, reason=_INTERRUPTED)
        self._result = await run_to_completion(self._end(), self._timeline.add)
        self._reservation.stop()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._result

    async def _end(self) -> CheckoutResult:
        adopted = await self._adopt()
        self._saga.add_compensation("release the stock and the voucher", self._delivery.release_stock)
        self._saga.add_compensation("void the payment", self._delivery.void)
        self._saga.add_compensation("cancel the parcels", lambda: self._delivery.stop(adopted.placed))
        if adopted.status is OrderStatus.CANCELLING:
            return await self._compensate(Reason(CANCELLED, "The order was cancelled."))
        return await self._compensate(Reason(ADOPTED, _INTERRUPTED))

    async def _adopt(self) -> AdoptedOrder:
        adoption, run = self._order.adoption, workflow.info().first_execution_run_id
        assert adoption is not None
        command = AdoptOrder(order_id=self._order.order_id, step=f"adopt:{run}", actor=adoption.actor)
        adopted = await on_store(OrderActivities.adopt_order, command, "adopt the order", self._timeline)
        self._recorder.adoption = f":{run}"
        self._recorder.payment_status = adopted.payment_status
        self._recorder.show(adopted.status, f"adopted by {adoption.actor}: {adoption.reason}", adopted.placed.number)
        self._status_before = adopted.status
        if adopted.status not in FINAL_STATUSES:
            self._reservation.start(adopted.placed.reservation_seconds)
        self._payment.adopt()
        await self._parcels.adopt(adopted)
        self._stopped_before = self._parcels.stopped
        return adopted

    async def _record_partly(self, actor: str, data: dict[str, object]) -> None:
        """Unless the order only goes on, with everything that was under way before."""
        self._answers.append(CheckoutAnswer(order_id=self._order.order_id, outcome=CheckoutOutcome.AUTHORIZED))
        undone = self._status_before in _BEING_UNDONE or self._compensation.was_blocked
        if self._status_before not in FINAL_STATUSES and (undone or self._parcels.stopped != self._stopped_before):
            await super()._record_partly(actor, data)
