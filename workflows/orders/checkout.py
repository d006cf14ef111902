"""CheckoutWorkflow is the order, from placing it to its last parcel, and its compensation when it cannot continue."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.carts import CartActivities
from activities.orders import OrderActivities
from domain.actors import SYSTEM_ACTOR
from domain.events import EventType, order_event
from domain.orders import NOT_DELIVERED, OrderStatus, PaymentStatus
from schemas.checkout import CheckoutAnswer, CheckoutInput, CheckoutOutcome, CheckoutResult, PricedOrder
from schemas.disputes import DisputeUpdated
from schemas.fulfilment import ParcelUpdated
from schemas.order_requests import CancelOrder, Choice, Decision, SettleCompensation, SettleParcel
from schemas.orders import OrderPlaced, PlaceOrder
from schemas.payments import PaymentAnswer, PaymentUpdated, RetryPayment
from schemas.risk import Review
from workflows.names import DISPUTE_UPDATED, PARCEL_UPDATED, PAYMENT_UPDATED
from workflows.orders.address_change import AddressChange, AddressUpdates
from workflows.orders.cancellation import Cancellation
from workflows.orders.compensation import Compensation
from workflows.orders.delivery import Delivery
from workflows.orders.dispute_hold import DisputeHold
from workflows.orders.parcels import OrderParcels
from workflows.orders.payment import OrderPayment
from workflows.orders.payment_attempts import PaymentAttempts, Reauthorization
from workflows.orders.records import OrderRecorder
from workflows.orders.reservation import StockReservation
from workflows.orders.risk_review import RiskReview
from workflows.orders.saga import Saga
from workflows.orders.shortage import ShortageDecision
from workflows.reasons import CANCELLED, Reason, reason_of
from workflows.stores import on_store
from workflows.timeline import Timeline, money
from workflows.waiting import run_all, run_to_completion


@workflow.defn
class CheckoutWorkflow(AddressUpdates):
    """price → reserve (→ ask) → pay → confirm → fulfil → settle; each step's compensation is noted before the step."""

    @workflow.init
    def __init__(self, order: CheckoutInput) -> None:
        self._order = order
        self._answers: list[CheckoutAnswer] = []
        self._saga = Saga()
        self._timeline = Timeline(f"Order {order.order_id}", order.order_id)
        self._recorder = OrderRecorder(order.order_id, self._timeline)
        self._payment = OrderPayment(order.order_id)
        self._shortage = ShortageDecision(order, self._recorder, self._answers.append)
        self._attempts = PaymentAttempts(order, self._payment, self._recorder, self._answers.append)
        self._risk = RiskReview(order, self._recorder, self._timeline, self._answer_paid)
        self._parcels = OrderParcels(order)
        self._compensation = Compensation(self._saga, self._parcels, self._recorder, self._timeline)
        self._dispute_hold = DisputeHold(self._parcels, self._recorder, self._charged_back)
        self._cancellation = Cancellation(self._parcels, self._recorder, order.currency)
        self._address = AddressChange(order, self._parcels, self._payment, self._recorder, self._check_not_compensating)
        self._reauthorization = Reauthorization(self._payment, self._attempts, self._parcels, self._recorder)
        self._reservation = StockReservation(order.order_id, self._timeline)
        self._delivery = Delivery(self._parcels, self._payment, self._reservation, self._recorder, self._timeline)
        self._result: CheckoutResult | None = None

    @workflow.run
    async def run(self, order: CheckoutInput) -> CheckoutResult:  # noqa: ARG002 - as __init__ has it
        """Run the steps to the end; when they stop, compensate what was done."""
        # Before anything else: a killed worker may have placed the order without Temporal recording it.
        self._saga.add_compensation("release the stock and the voucher", self._delivery.release_stock)
        try:
            await self._cancellation.run(self._run_steps())
            self._result = await self._conclude("delivered and paid in full")
        except (asyncio.CancelledError, FailureError) as failure:
            # A cancellation that arrives now, or while an operator is waited for, must not leave it half compensated.
            self._result = await run_to_completion(self._compensate(reason_of(failure)), self._timeline.add)
        self._reservation.stop()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._result

    # --- updates and signals

    @workflow.update
    async def first_answer(self) -> CheckoutAnswer:
        """Answers when stock is reserved and payment has its first answer, or the order has been compensated."""
        return await self._answer(0)

    @workflow.update
    async def decide(self, decision: Decision) -> CheckoutAnswer:
        """The customer decides what they want of an order that is partly out of stock; answers the outcome."""
        if decision.choice is Choice.CANCEL:
            self._cancellation.by = CancelOrder(actor=decision.actor, reason="not everything is available")
        self._shortage.decide(decision)
        return await self._answer(1)

    @decide.validator
    def _may_decide(self, decision: Decision) -> None:
        self._check_not_compensating()
        self._shortage.check_may(decision.choice)

    @workflow.update
    async def retry_payment(self, request: RetryPayment) -> PaymentAnswer:
        """Try another method, while the order awaits its payment."""
        return await self._attempts.retry_payment(request)

    @retry_payment.validator
    def _may_retry_payment(self, request: RetryPayment) -> None:  # noqa: ARG002 - a validator has its update's parameters
        self._check_not_compensating()
        self._attempts.check_waiting()

    @workflow.update
    async def review(self, review: Review) -> CheckoutAnswer:
        """Staff approve or decline an order that is on hold for review; answers the outcome."""
        self._risk.decide(review)
        return await self._answer(len(self._answers))

    @review.validator
    def _may_review(self, review: Review) -> None:  # noqa: ARG002 - see above
        self._check_not_compensating()
        self._risk.check_open()

    @workflow.update
    async def cancel(self, request: CancelOrder) -> CheckoutResult:
        """Cancel what has not been handed over to the carrier, or some lines of it; answers when that is compensated.

        Parcels that were dispatched already, or turn out to be, go on: the answer says which.
        """
        return await self._cancellation.cancel(request, lambda: self._result)

    @cancel.validator
    def _may_cancel(self, request: CancelOrder) -> None:
        if self._result is not None or self._saga.compensating:
            raise ApplicationError("The order is past the point where it can be cancelled.", type="too_late")
        self._cancellation.check_may(request)
        if request.only_waiting and not self._shortage.waiting:
            self._attempts.check_replaceable()

    @workflow.update
    def settle_compensation(self, decision: SettleCompensation) -> None:
        """An operator has looked at what could not be compensated: retry it, or it is settled by hand."""
        self._compensation.settle(decision)

    @settle_compensation.validator
    def _may_settle(self, decision: SettleCompensation) -> None:
        self._compensation.check_may_settle(decision)

    @workflow.update
    async def settle_parcel(self, settlement: SettleParcel) -> None:
        """Staff say what became of a parcel of which the carrier did not, or have the carrier asked again."""
        await self._parcels.settle(settlement)

    @settle_parcel.validator
    def _may_settle_parcel(self, settlement: SettleParcel) -> None:
        if settlement.parcel not in self._parcels.unknown:
            message = f"It is known what became of parcel {settlement.parcel}."
            raise ApplicationError(message, type="parcel_not_unknown")

    @workflow.signal(name=PAYMENT_UPDATED)
    def payment_updated(self, update: PaymentUpdated) -> None:
        """PaymentWorkflow has completed a step, or was refused it."""
        self._payment.apply(update)
        self._recorder.payment_status = PaymentStatus(update.payment_status)

    @workflow.signal(name=PARCEL_UPDATED)
    async def parcel_updated(self, update: ParcelUpdated) -> None:
        """A FulfilmentWorkflow reports that its parcel was dispatched, delivered, or never will be, or picked short."""
        self._parcels.apply(update)
        if update.short_pick and not self._saga.compensating:
            await self._cancellation.cancel_missing(update.number, update.short_pick)

    @workflow.signal(name=DISPUTE_UPDATED)
    async def dispute_updated(self, update: DisputeUpdated) -> None:
        """A DisputeWorkflow reports that the order's payment is disputed, or how that ended."""
        await self._dispute_hold.apply(update)

    # --- the steps

    async def _run_steps(self) -> None:
        placed = await self._reserve(await self._price())
        quote = placed.quote
        if placed.short:
            quote, placed = await self._shortage.settle(quote, placed)
        paid = await self._pay(quote, placed)
        await self._risk.pass_through(quote, paid)
        await self._confirm(quote)
        await self._fulfil(placed)
        await self._payment.end()

    async def _price(self) -> PricedOrder:
        order = self._order
        command = order.price_command(order.lines, order.discount_code, order_id=order.order_id)
        text = f"price {len(order.lines)} line(s)"
        quote = await on_store(OrderActivities.price_order, command, text, self._timeline)
        approved = order.approved_total
        if approved is not None and quote.total > approved:
            details = {"approved": approved, "total": quote.total}
            message = "The price has risen since it was shown."
            raise ApplicationError(message, details, type="quote_changed", non_retryable=True)
        return quote

    async def _reserve(self, quote: PricedOrder) -> OrderPlaced:
        command = PlaceOrder(order=self._order, quote=quote)
        text = "place the order and reserve its stock"
        placed = await on_store(OrderActivities.place_order, command, text, self._timeline)
        self._reservation.start(placed.reservation_seconds)
        warehouses = ", ".join(parcel.warehouse for parcel in placed.parcels)
        self._recorder.show(
            OrderStatus.PENDING, f"placed as no. {placed.number}, stock reserved in {warehouses}", placed.number
        )
        if backordered := sum(parcel.backordered for parcel in placed.parcels):
            self._timeline.add(f"{backordered} unit(s) are backordered")
        return placed

    async def _pay(self, quote: PricedOrder, placed: OrderPlaced) -> PaymentUpdated | None:
        if quote.total == 0:
            self._timeline.add("nothing to pay")
            return None
        self._saga.add_compensation("void the payment", self._delivery.void)
        may_reauthorize = len(placed.parcels) > 1 or any(parcel.waits_before_booking for parcel in placed.parcels)
        paid = await self._attempts.until_authorized(quote, keep_method=may_reauthorize)
        self._timeline.add(f"{money(quote.total, quote.currency)} authorized")
        return paid

    async def _confirm(self, quote: PricedOrder) -> None:
        paid = PaymentStatus.CAPTURED if quote.total == 0 else None
        await self._recorder.record("confirm", OrderStatus.CONFIRMED, EventType.ORDER_CONFIRMED, payment_status=paid)
        self._answer_paid(CheckoutOutcome.AUTHORIZED)

    async def _fulfil(self, placed: OrderPlaced) -> None:
        self._saga.add_compensation("cancel the parcels", lambda: self._delivery.stop(placed))
        # The cart first, so that it is empty when the customer reads the answer; but beside the parcels, because
        # its store may be away for long without delaying one of them.
        await run_all(self._empty_cart(), self._delivery.deliver(placed, self._reauthorization.keep_paid))

    async def _conclude(self, text: str, reason: str | None = None) -> CheckoutResult:
        """Delivered, in full or in part; an order of which everything came back or was lost has failed.

        What was lost or came back needs an operator, beyond the order's end.
        """
        status = OrderStatus.DELIVERED
        if self._parcels.any_is_delivered:
            self._recorder.show(status, text)
        else:
            status, reason = OrderStatus.FAILED, NOT_DELIVERED
            data = {"code": reason, "message": "Nothing of the order could be delivered."}
            await self._recorder.record("end", status, order_event(status), data=data)
        return CheckoutResult(order_id=self._order.order_id, status=status, reason=reason)

    async def _empty_cart(self) -> None:
        await on_store(CartActivities.complete_cart, self._order.cart_command(), "empty the cart", self._timeline)

    # --- compensation

    async def _compensate(self, reason: Reason) -> CheckoutResult:
        """Compensate every step begun, last first, then record how the order ended."""
        self._attempts.close()
        self._dispute_hold.close()
        self._timeline.add(f"stopped: `{reason.code}` {reason.message}")
        cancelling = reason.code == CANCELLED
        by = self._cancellation.by
        actor, why = (by.actor, {"reason": by.reason}) if by else (SYSTEM_ACTOR, {})
        data: dict[str, object] = {"code": reason.code, "message": reason.message, **reason.details, **why}
        if cancelling:
            status = OrderStatus.CANCELLING
            await self._recorder.record_if_placed("cancelling", status, order_event(status), actor, data)
        if await self._compensation.compensate_all() and self._parcels.dispatched:
            return await self._finish_dispatched(reason, actor, data)
        await self._payment.settle_by_hand()
        status = OrderStatus.CANCELLED if cancelling else OrderStatus.FAILED
        await self._recorder.record_if_placed("end", status, order_event(status), actor, data)
        self._answers.append(CheckoutAnswer.refusing(self._order.order_id, reason.code, reason.message, reason.details))
        return CheckoutResult(order_id=self._order.order_id, status=status, reason=reason.code)

    async def _finish_dispatched(self, reason: Reason, actor: str, data: dict[str, object]) -> CheckoutResult:
        """What was dispatched is paid for and goes on; nothing else is left of the order."""
        await self._record_partly(actor, data)
        await self._delivery.follow_dispatched()
        return await self._conclude("delivered in part and paid for", reason.code)

    async def _record_partly(self, actor: str, data: dict[str, object]) -> None:
        parcels = {"dispatched": self._parcels.dispatched, "cancelled": self._parcels.stopped}
        status, event_type = OrderStatus.SHIPPED, EventType.ORDER_PARTLY_CANCELLED
        await self._recorder.record("partly", status, event_type, actor=actor, data=data | parcels)

    def _charged_back(self, reason: str) -> None:
        if not (self._cancellation.by or self._saga.compensating):
            self._cancellation.begin(CancelOrder(actor=SYSTEM_ACTOR, reason=reason))

    def _answer_paid(self, outcome: CheckoutOutcome) -> None:
        self._attempts.confirmed()
        self._answers.append(CheckoutAnswer(order_id=self._order.order_id, outcome=outcome))

    async def _answer(self, number: int) -> CheckoutAnswer:
        """An answer never changes: every repeat of its request gets the same."""
        await workflow.wait_condition(lambda: len(self._answers) > number)
        return self._answers[number]

    def _check_not_compensating(self) -> None:
        if self._cancellation.by is not None or self._saga.compensating:
            raise ApplicationError("The order is being cancelled or has failed.", type="too_late")
