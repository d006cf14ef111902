"""How an order is paid: one attempt at a time, and a window in which the customer may try another method."""

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.events import EventType
from domain.orders import OrderStatus
from schemas.checkout import CheckoutAnswer, CheckoutInput, CheckoutOutcome, PricedOrder
from schemas.orders import Awaiting
from schemas.payments import PaymentAnswer, PaymentInput, PaymentUpdated, RetryPayment, TryMethod
from schemas.provider_calls import PaymentOutcome
from workflows.orders.parcels import OrderParcels
from workflows.orders.payment import OrderPayment
from workflows.orders.records import OrderRecorder, rfc3339
from workflows.waiting import wait_until

_DECLINED, _SUCCEEDED = PaymentOutcome.DECLINED, PaymentOutcome.SUCCEEDED
_REMIND_AFTER = 0.5  # of the time there is


class PaymentAttempts:
    """After a first attempt that did not succeed the order awaits its payment, its stock reserved, for a set time."""

    def __init__(
        self,
        order: CheckoutInput,
        payment: OrderPayment,
        recorder: OrderRecorder,
        answer_customer: Callable[[CheckoutAnswer], None],
    ) -> None:
        self._order = order
        self._payment = payment
        self._recorder = recorder
        self._answer_customer = answer_customer
        self._window = timedelta(seconds=order.payment_retry_seconds)
        self._number = 1
        self._attempt_running = True
        self._requested: TryMethod | None = None
        self._remind_at: datetime | None = None
        self._ends: datetime | None = None
        self._answers: dict[int, PaymentAnswer] = {}
        self._closed = False
        self._after_reauthorization = False

    async def until_authorized(self, quote: PricedOrder, *, keep_method: bool) -> PaymentUpdated:
        """Raises `payment_declined` where there is no second try, and `payment_expired` when its time is over."""
        payment = PaymentInput(
            order_id=self._order.order_id,
            amount=quote.total,
            currency=quote.currency,
            first=self._method(self._order.payment_method, self._order.payment_return_url),
            may_retry=bool(self._window),
            use_store_credit=self._order.use_store_credit,
            authorization_seconds=self._order.authorization_seconds,
            keep_method=keep_method,
        )
        await self._payment.start(payment)
        return await self._until_paid()

    async def pay_after_expiry(self, update: PaymentUpdated) -> None:
        """The bank did not reauthorize what is not dispatched yet: the order awaits its payment once more."""
        self._closed, self._after_reauthorization = False, True
        self._ends = self._remind_at = None
        if not self._window:
            raise _declined(update)
        await self._wait_for_customer(update)
        await self._until_paid()

    async def _until_paid(self) -> PaymentUpdated:
        while (update := await self._next_update()).outcome is not _SUCCEEDED:
            if update.outcome is _DECLINED and not self._window:
                raise _declined(update)
            await self._wait_for_customer(update)
        self._attempt_running = True  # no other method can be tried any more
        return update

    def confirmed(self) -> None:
        """The order is paid: every retry that waits gets its answer."""
        self._closed = True
        for number in range(1, self._number + 1):
            self._answers.setdefault(number, PaymentAnswer(outcome=_SUCCEEDED))

    def close(self) -> None:
        """The order is being compensated."""
        self._closed = True

    @property
    def waiting(self) -> bool:
        """Whether the customer may try a method: the order awaits its payment, and no attempt is running."""
        window_open = self._ends is not None and workflow.now() < self._ends
        return window_open and not (self._attempt_running or self._closed)

    def check_waiting(self) -> None:
        """Raise ApplicationError unless the customer may try a method now."""
        if self._ends is not None and self._attempt_running and not self._closed:
            raise ApplicationError("Another payment attempt is in progress.", type="payment_in_progress")
        if not self.waiting:
            raise ApplicationError("The order is not awaiting a payment.", type="not_awaiting_payment")

    def check_replaceable(self) -> None:
        """The same for another checkout of its cart, which replaces no order that was authorized once."""
        self.check_waiting()
        if self._after_reauthorization:
            raise ApplicationError("The order was paid before and cannot be replaced.", type="not_awaiting_payment")

    async def retry_payment(self, request: RetryPayment) -> PaymentAnswer:
        """Try this method, and return its outcome."""
        self._number += 1
        number, self._attempt_running = self._number, True
        self._requested = self._method(request.payment_method, request.payment_return_url)
        await workflow.wait_condition(lambda: number in self._answers or self._closed)
        if number not in self._answers:
            raise ApplicationError("The order was cancelled or failed.", type="too_late")
        return self._answers[number]

    # --- waiting for updates

    async def _next_update(self) -> PaymentUpdated:
        """The next update of the running attempt, or of an earlier one that has succeeded after all."""
        while True:
            await self._wait_within_window()
            if self._requested is not None:
                method, self._requested = self._requested, None
                await self._payment.try_method(method)
                continue
            update = await self._payment.next_attempt_update()
            if update.attempt == self._number or update.outcome is _SUCCEEDED:
                return update

    async def _wait_within_window(self) -> None:
        if self._attempt_running or self._ends is None:
            await workflow.wait_condition(self._is_woken)
            return
        if self._remind_at is not None:
            if await wait_until(self._remind_at, self._is_woken, "remind the customer to pay"):
                return
            self._remind_at = None
            data = {"retry_until": rfc3339(self._ends)}
            step = f"payment-reminder-{self._number}" if self._after_reauthorization else "payment-reminder"
            await self._recorder.record(step, OrderStatus.AWAITING_PAYMENT, EventType.ORDER_PAYMENT_REMINDER, data=data)
        if not await wait_until(self._ends, self._is_woken, "payment window closes"):
            raise ApplicationError("No payment was made in time.", type="payment_expired", non_retryable=True)

    def _is_woken(self) -> bool:
        return self._requested is not None or self._payment.has_attempt_update()

    # --- answers

    async def _wait_for_customer(self, update: PaymentUpdated) -> None:
        """The order awaits its payment; its customer, and staff, see what can be done."""
        if self._ends is None and self._window:
            self._ends = workflow.now() + self._window
            self._remind_at = workflow.now() + self._window * _REMIND_AFTER
        data: dict[str, object] = {"attempt": update.attempt}
        if self._ends:
            data["retry_until"] = rfc3339(self._ends)
        if update.action:
            data["payment_action"] = update.action.type  # the rest is for the customer alone
        else:
            data |= {"code": update.code, "message": update.message}
        attempt = update.step if update.step.startswith("reauthorize") else update.attempt
        await self._recorder.record(
            f"awaiting-payment-{attempt}-{update.outcome}",
            OrderStatus.AWAITING_PAYMENT,
            EventType.ORDER_AWAITING_PAYMENT,
            data=data,
            awaiting=Awaiting(payment_action=update.action, retry_until=self._ends),
        )
        self._attempt_running = False
        answer = PaymentAnswer(outcome=update.outcome, code=update.code, message=update.message, retry_until=self._ends)
        self._answers[update.attempt] = answer
        self._answer_customer(_first_answer(self._order.order_id, answer))

    def _method(self, token: str | None, return_url: str | None) -> TryMethod:
        seconds = self._order.authentication_seconds
        if self._window:
            remaining = self._ends - workflow.now() if self._ends else self._window
            seconds = max(1, min(seconds, int(remaining.total_seconds())))
        return TryMethod(
            attempt=self._number, payment_method=token, return_url=return_url, authentication_seconds=seconds
        )


class Reauthorization:
    """For an order that waits for goods longer than its customer's bank authorizes the payment for.

    When the bank does not authorize the amount again, what has not been dispatched waits until it is paid for.
    """

    def __init__(
        self, payment: OrderPayment, attempts: PaymentAttempts, parcels: OrderParcels, recorder: OrderRecorder
    ) -> None:
        self._payment = payment
        self._attempts = attempts
        self._parcels = parcels
        self._recorder = recorder

    async def keep_paid(self) -> None:
        """Returns when no money is authorized any more; raises the reason when the customer does not pay in time."""
        while (update := await self._payment.declined_reauthorization()) is not None:
            await self._parcels.hold_for_payment()
            await self._attempts.pay_after_expiry(update)
            step = f"paid-again-{update.step}"
            await self._recorder.record(step, OrderStatus.PROCESSING, EventType.ORDER_PAYMENT_RENEWED)
            self._attempts.confirmed()
            await self._parcels.release_for_payment()


def _declined(update: PaymentUpdated) -> ApplicationError:
    message = update.message or "The bank declined the payment."
    details = {"decline_code": update.code or "card_declined"}
    return ApplicationError(message, details, type="payment_declined", non_retryable=True)


def _first_answer(order_id: str, answer: PaymentAnswer) -> CheckoutAnswer:
    if answer.outcome is PaymentOutcome.ACTION_REQUIRED:
        return CheckoutAnswer(order_id=order_id, outcome=CheckoutOutcome.ACTION_REQUIRED)
    details: dict[str, object] = {"decline_code": answer.code or "card_declined"}
    if answer.retry_until:
        details["retry_until"] = rfc3339(answer.retry_until)
    return CheckoutAnswer(
        order_id=order_id,
        outcome=CheckoutOutcome.DECLINED,
        code="payment_declined",
        message=answer.message,
        details=details,
    )
