"""CheckoutWorkflow is the order, from placing it to its last parcel, and back again when it cannot go on."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.carts import CartActivities
from activities.orders import OrderActivities
from domain.actors import SYSTEM_ACTOR
from domain.events import EventType, order_event
from domain.orders import OrderStatus, PaymentStatus
from schemas.checkout import CheckoutAnswer, CheckoutInput, CheckoutOutcome, CheckoutResult, PricedOrder
from schemas.disputes import DisputeUpdated
from schemas.fulfilment import ParcelUpdated
from schemas.orders import CancelOrder, Choice, Decision, OrderPlaced, PlaceOrder, SettleCompensation
from schemas.payments import PaymentAnswer, PaymentUpdated, RetryPayment
from schemas.risk import Review
from workflows.names import DISPUTE_UPDATED, PARCEL_UPDATED, PAYMENT_UPDATED
from workflows.options import STORE
from workflows.orders.compensation import Compensation
from workflows.orders.dispute_hold import DisputeHold
from workflows.orders.parcels import OrderParcels
from workflows.orders.payment import OrderPayment
from workflows.orders.payment_attempts import PaymentAttempts
from workflows.orders.payment_renewal import PaymentRenewal
from workflows.orders.records import OrderRecorder
from workflows.orders.reservation import StockReservation
from workflows.orders.risk_review import RiskReview
from workflows.orders.saga import Saga
from workflows.orders.shortage import ShortageDecision
from workflows.reasons import CANCELLED, Reason, reason_of
from workflows.timeline import Timeline, money
from workflows.waiting import run_to_completion


@workflow.defn
class CheckoutWorkflow:
    """price → reserve (→ ask) → pay → confirm → fulfil → settle; the undo of each step is noted before the step."""

    @workflow.init
    def __init__(self, order: CheckoutInput) -> None:
        self._order = order
        self._answers: list[CheckoutAnswer] = []
        self._saga = Saga()
        self._timeline = Timeline(f"Order {order.order_id}")
        self._book = OrderRecorder(order.order_id, self._timeline)
        self._compensation = Compensation(self._saga, self._book, self._timeline)
        self._payment = OrderPayment(order.order_id)
        self._shortage = ShortageDecision(order, self._book, self._answers.append)
        self._attempts = PaymentAttempts(order, self._payment, self._book, self._answers.append)
        self._risk = RiskReview(order, self._book, self._timeline, self._answer_paid)
        self._parcels = OrderParcels(order)
        self._hold = DisputeHold(self._parcels, self._book, self._charged_back)
        self._renewal = PaymentRenewal(self._payment, self._attempts, self._parcels, self._book)
        self._keeper = StockReservation(order.order_id, self._timeline)
        self._story: asyncio.Task[None] | None = None
        self._result: CheckoutResult | None = None
        self._cancelled_by: CancelOrder | None = None

    @workflow.run
    async def run(self, order: CheckoutInput) -> CheckoutResult:
        """Tell the story to its end; when it stops, take back what was done."""
        # Before anything else: a killed worker may have placed the order without Temporal ever hearing of it.
        self._saga.note("release the stock and the voucher", self._keeper.release)
        self._story = asyncio.create_task(self._run_steps())
        if self._cancelled_by is not None:  # a handler may run before `run` does
            self._story.cancel()
        try:
            await self._story
            self._result = CheckoutResult(order_id=order.order_id, status=OrderStatus.DELIVERED)
        except (asyncio.CancelledError, FailureError) as failure:
            # A cancellation that arrives now, or while an operator is waited for, must not leave it half undone.
            self._result = await run_to_completion(self._compensate(reason_of(failure)), self._timeline.add)
        self._keeper.stop()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._result

    # --- what the world tells and asks

    @workflow.update
    async def first_answer(self) -> CheckoutAnswer:
        """Stock is reserved and payment has its first answer, or the order has been taken back."""
        return await self._told(0)

    @workflow.update
    async def decide(self, decision: Decision) -> CheckoutAnswer:
        """The customer of an order that is partly out of stock says what they want; answers what came of it."""
        if decision.choice is Choice.CANCEL:
            self._cancelled_by = CancelOrder(actor=decision.actor, reason="not everything could be had")
        self._shortage.decide(decision)
        return await self._told(1)

    @decide.validator
    def _may_decide(self, decision: Decision) -> None:
        self._check_stands()
        self._shortage.check_may(decision.choice)

    @workflow.update
    async def retry_payment(self, wanted: RetryPayment) -> PaymentAnswer:
        """Try another method, while the order awaits its payment."""
        return await self._attempts.retry_payment(wanted)

    @retry_payment.validator
    def _may_retry_payment(self, wanted: RetryPayment) -> None:  # noqa: ARG002 - a validator has its update's parameters
        self._check_stands()
        self._attempts.check_waiting()

    @workflow.update
    async def review(self, review: Review) -> CheckoutAnswer:
        """An operator lets an order that is held go on, or not; answers what came of it."""
        self._risk.decide(review)
        return await self._told(len(self._answers))

    @review.validator
    def _may_review(self, review: Review) -> None:  # noqa: ARG002 - see above
        self._check_stands()
        self._risk.check_open()

    @workflow.update
    async def cancel(self, request: CancelOrder) -> CheckoutResult:
        """Stop the order while nothing of it has to leave; answers when everything has been taken back.

        That is until its parcels are handed to the warehouse, and after that only while one of them waits for goods
        and none has left.
        """
        self._cancelled_by = request
        if self._story is not None:
            self._story.cancel()
        await workflow.wait_condition(lambda: self._result is not None)
        assert self._result is not None
        return self._result

    @cancel.validator
    def _may_cancel(self, request: CancelOrder) -> None:
        if self._result is not None or self._parcels.past_cancellation or self._saga.compensating:
            raise ApplicationError("The order is past the point where it can be cancelled.", type="too_late")
        if self._cancelled_by is not None:
            raise ApplicationError("The order is being cancelled already.", type="already_cancelling")
        if request.only_waiting and not self._shortage.waiting:
            self._attempts.check_replaceable()

    @workflow.update
    def settle_compensation(self, decision: SettleCompensation) -> None:
        """An operator has looked at what could not be undone: try it again, or it is settled by hand."""
        self._compensation.settle(decision)

    @settle_compensation.validator
    def _may_settle(self, decision: SettleCompensation) -> None:  # noqa: ARG002 - see above
        self._compensation.check_blocked()

    @workflow.signal(name=PAYMENT_UPDATED)
    def payment_updated(self, told: PaymentUpdated) -> None:
        """PaymentWorkflow has done, or was refused, a step."""
        self._payment.hear(told)

    @workflow.signal(name=PARCEL_UPDATED)
    def parcel_updated(self, told: ParcelUpdated) -> None:
        """A FulfilmentWorkflow tells that its parcel has left, arrived, or will never leave."""
        self._parcels.hear(told)

    @workflow.signal(name=DISPUTE_UPDATED)
    async def dispute_updated(self, told: DisputeUpdated) -> None:
        """A DisputeWorkflow tells that the order's payment is disputed, or how that ended."""
        await self._hold.hear(told)

    # --- the story

    async def _run_steps(self) -> None:
        quote = await self._price()
        placed = await self._reserve(quote)
        if placed.short:
            quote, placed = await self._shortage.settle(quote, placed)
        paid = await self._pay(quote, placed)
        await self._risk.pass_through(quote, paid)
        await self._confirm(quote)
        await self._fulfil(placed)
        await self._settle()

    async def _price(self) -> PricedOrder:
        command = self._order.price_command(self._order.lines, self._order.discount_code)
        quote = await workflow.execute_local_activity_method(
            OrderActivities.price_order, command, summary=f"price {len(self._order.lines)} line(s)", **STORE
        )
        approved = self._order.approved_total
        if approved is not None and quote.total > approved:
            details = {"approved": approved, "total": quote.total}
            message = "The price has risen since it was shown."
            raise ApplicationError(message, details, type="quote_changed", non_retryable=True)
        return quote

    async def _reserve(self, quote: PricedOrder) -> OrderPlaced:
        self._keeper.reserving = True
        command = PlaceOrder(order=self._order, quote=quote)
        placed = await workflow.execute_local_activity_method(
            OrderActivities.place_order, command, summary="record the order with its stock", **STORE
        )
        self._keeper.start(placed.reservation_seconds)
        houses = ", ".join(parcel.warehouse for parcel in placed.parcels)
        self._book.show(OrderStatus.PENDING, f"placed as no. {placed.number}, stock reserved in {houses}")
        if late := sum(parcel.backordered for parcel in placed.parcels):
            self._timeline.add(f"{late} unit(s) are backordered")
        return placed

    async def _pay(self, quote: PricedOrder, placed: OrderPlaced) -> PaymentUpdated | None:
        if quote.total == 0:
            self._timeline.add("nothing to pay")
            return None
        self._saga.note("void the payment", self._payment.void)
        reauthorized = len(placed.parcels) > 1 or any(parcel.backordered for parcel in placed.parcels)
        paid = await self._attempts.until_authorized(quote, keep_method=reauthorized)
        self._timeline.add(f"{money(quote.total, quote.currency)} authorized")
        return paid

    async def _confirm(self, quote: PricedOrder) -> None:
        paid = PaymentStatus.CAPTURED if quote.total == 0 else None
        await self._book.record("confirm", OrderStatus.CONFIRMED, EventType.ORDER_CONFIRMED, payment_status=paid)
        self._answer_paid(CheckoutOutcome.AUTHORIZED)

    async def _fulfil(self, placed: OrderPlaced) -> None:
        self._saga.note("call the parcels back", lambda: self._call_back(placed))
        # The cart first, so that it is empty when the customer reads the answer; but beside the parcels, because
        # its store may be away for as long as it likes without holding up one of them.
        await asyncio.gather(self._empty_cart(), self._deliver_all(placed), self._renewal.keep_paid())

    async def _deliver_all(self, placed: OrderPlaced) -> None:
        await self._parcels.start(placed)
        self._book.show(OrderStatus.PROCESSING, f"{len(placed.parcels)} parcel(s) handed to the warehouse")
        await asyncio.gather(*(self._deliver(parcel.number, parcel.amount) for parcel in placed.parcels))

    async def _deliver(self, number: int, amount: int) -> None:
        """One parcel: its share of the money is captured once it has left, and only then."""
        await self._parcels.left(number)
        final = self._parcels.all_have_left()
        if final:
            self._keeper.stop()
        self._book.show(OrderStatus.SHIPPED if final else OrderStatus.PROCESSING, f"parcel {number} has left")
        await self._payment.capture(number, amount, final=final)
        self._timeline.add(f"parcel {number} captured")
        await self._parcels.delivered(number)
        self._timeline.add(f"parcel {number} delivered")

    async def _settle(self) -> None:
        await self._payment.end()
        self._book.show(OrderStatus.DELIVERED, "delivered and paid: nothing held, nothing owed")

    async def _empty_cart(self) -> None:
        await workflow.execute_local_activity_method(
            CartActivities.complete_cart, self._order.cart_command(), summary="empty the cart", **STORE
        )

    # --- the way back

    async def _compensate(self, reason: Reason) -> CheckoutResult:
        """Undo every step begun, last first, then say how the order ended."""
        self._attempts.close()
        self._hold.close()
        self._timeline.add(f"stopped: `{reason.code}` {reason.message}")
        cancelling = reason.code == CANCELLED
        by = self._cancelled_by
        actor, why = (by.actor, {"reason": by.reason}) if by else (SYSTEM_ACTOR, {})
        data: dict[str, object] = {"code": reason.code, "message": reason.message, **reason.details, **why}
        if cancelling:
            status = OrderStatus.CANCELLING
            await self._book.record_if_placed("cancelling", status, order_event(status), actor, data)
        await self._compensation.compensate_all()
        await self._payment.settle_by_hand()
        status = OrderStatus.CANCELLED if cancelling else OrderStatus.FAILED
        await self._book.record_if_placed("end", status, order_event(status), actor, data)
        self._answers.append(CheckoutAnswer.refusing(self._order.order_id, reason.code, reason.message, reason.details))
        return CheckoutResult(order_id=self._order.order_id, status=status, reason=reason.code)

    async def _call_back(self, placed: OrderPlaced) -> None:
        """What leaves all the same is paid for; whether it stays so a person decides."""
        gone = await self._parcels.call_back()
        if not gone:
            return
        if workflow.patched("what-has-left-is-paid-for"):
            for parcel in (one for one in placed.parcels if one.number in gone):
                await self._payment.capture(parcel.number, parcel.amount, final=False, taken_back=True)
        names = ", ".join(map(str, gone))
        raise ApplicationError(f"Parcel {names} has left and cannot be called back.", type="parcel_left")

    def _charged_back(self, reason: str) -> None:
        if self._story is not None and self._cancelled_by is None and not self._saga.compensating:
            self._cancelled_by = CancelOrder(actor=SYSTEM_ACTOR, reason=reason)
            self._story.cancel()

    def _answer_paid(self, outcome: CheckoutOutcome) -> None:
        self._attempts.confirmed()
        self._answers.append(CheckoutAnswer(order_id=self._order.order_id, outcome=outcome))

    async def _told(self, number: int) -> CheckoutAnswer:
        """An answer stays what it was: every repeat of the request that it was for gets it."""
        await workflow.wait_condition(lambda: len(self._answers) > number)
        return self._answers[number]

    def _check_stands(self) -> None:
        if self._cancelled_by is not None or self._saga.compensating:
            raise ApplicationError("The order is being taken back.", type="too_late")
