"""How an order comes to its money: one attempt at a time, and a while in which the customer may give another method."""

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.events import EventType
from domain.orders import OrderStatus
from schemas.checkout import CheckoutAnswer, CheckoutInput, CheckoutOutcome, PricedOrder
from schemas.orders import Awaiting
from schemas.payments import (
    PaymentAnswer,
    PaymentInput,
    PaymentOutcome,
    PaymentUpdated,
    RetryPayment,
    TryMethod,
)
from workflows.orders.payment import OrderPayment
from workflows.orders.records import OrderRecorder, said
from workflows.waiting import wait_until

_DECLINED, _SUCCEEDED = PaymentOutcome.DECLINED, PaymentOutcome.SUCCEEDED
_REMIND_AFTER = 0.5  # of the time there is


class PaymentAttempts:
    """After the first answer that is not a yes the order awaits its payment, its stock held, for a set time."""

    def __init__(
        self,
        order: CheckoutInput,
        desk: OrderPayment,
        book: OrderRecorder,
        answer_customer: Callable[[CheckoutAnswer], None],
    ) -> None:
        self._order = order
        self._desk = desk
        self._book = book
        self._answer_customer = answer_customer
        self._window = timedelta(seconds=order.payment_retry_seconds)
        self._number = 1
        self._at_work = True
        self._asked: TryMethod | None = None
        self._remind_at: datetime | None = None
        self._ends: datetime | None = None
        self._answers: dict[int, PaymentAnswer] = {}
        self._closed = False
        self._anew = False

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
        await self._desk.start(payment)
        return await self._until_paid()

    async def pay_for_reauthorization(self, told: PaymentUpdated) -> None:
        """The bank lets go of the money of an order that has not left: it awaits its payment once more, as at first."""
        self._closed, self._anew = False, True
        self._ends = self._remind_at = None
        if not self._window:
            raise _declined(told)
        await self._wait_for_customer(told)
        await self._until_paid()

    async def _until_paid(self) -> PaymentUpdated:
        while (told := await self._next_word()).outcome is not _SUCCEEDED:
            if told.outcome is _DECLINED and not self._window:
                raise _declined(told)
            await self._wait_for_customer(told)
        self._at_work = True  # nothing else can be tried any more
        return told

    def confirmed(self) -> None:
        """The order goes on: whoever has given a method is told so."""
        self._closed = True
        for number in range(1, self._number + 1):
            self._answers.setdefault(number, PaymentAnswer(outcome=_SUCCEEDED))

    def close(self) -> None:
        """The order is taken back."""
        self._closed = True

    @property
    def waiting(self) -> bool:
        """Whether the customer may give a method: the order awaits its payment, and no attempt is at work."""
        open_still = self._ends is not None and workflow.now() < self._ends
        return open_still and not (self._at_work or self._closed)

    def check_waiting(self) -> None:
        """Raise ApplicationError unless it is so."""
        if self._ends is not None and self._at_work and not self._closed:
            raise ApplicationError("A payment is being tried at this moment.", type="payment_in_progress")
        if not self.waiting:
            raise ApplicationError("The order does not wait for a payment.", type="not_awaiting_payment")

    def check_replaceable(self) -> None:
        """The same for another checkout of its cart, which takes no order's place that was paid for once."""
        self.check_waiting()
        if self._anew:
            raise ApplicationError("The order stands.", type="not_awaiting_payment")

    async def retry_payment(self, wanted: RetryPayment) -> PaymentAnswer:
        """Try this method, and answer what came of it."""
        self._number += 1
        number, self._at_work = self._number, True
        self._asked = self._method(wanted.payment_method, wanted.payment_return_url)
        await workflow.wait_condition(lambda: number in self._answers or self._closed)
        if number not in self._answers:
            raise ApplicationError("The order was taken back.", type="too_late")
        return self._answers[number]

    # --- listening

    async def _next_word(self) -> PaymentUpdated:
        """What is told of the attempt at work, or of an earlier one that has come to the money after all."""
        while True:
            await self._listen_while_there_is_time()
            if self._asked is not None:
                method, self._asked = self._asked, None
                await self._desk.try_method(method)
                continue
            told = await self._desk.listen()
            if told.attempt == self._number or told.outcome is _SUCCEEDED:
                return told

    async def _listen_while_there_is_time(self) -> None:
        if self._at_work or self._ends is None:
            await workflow.wait_condition(self._has_news)
            return
        if self._remind_at is not None:
            if await wait_until(self._remind_at, self._has_news, "remind the customer"):
                return
            self._remind_at = None
            data = {"retry_until": said(self._ends)}
            step = f"payment-reminder-{self._number}" if self._anew else "payment-reminder"
            await self._book.record(step, OrderStatus.AWAITING_PAYMENT, EventType.ORDER_PAYMENT_REMINDER, data=data)
        if not await wait_until(self._ends, self._has_news, "the payment's time is over"):
            raise ApplicationError("No payment was made in time.", type="payment_expired", non_retryable=True)

    def _has_news(self) -> bool:
        return self._asked is not None or self._desk.heard()

    # --- telling

    async def _wait_for_customer(self, told: PaymentUpdated) -> None:
        """The order awaits its payment; the customer, and whoever looks at the order, sees what they can do."""
        if self._ends is None and self._window:
            self._ends = workflow.now() + self._window
            self._remind_at = workflow.now() + self._window * _REMIND_AFTER
        data: dict[str, object] = {"attempt": told.attempt}
        if self._ends:
            data["retry_until"] = said(self._ends)
        if told.action:
            data["payment_action"] = told.action.type  # the rest is for nobody but the customer
        else:
            data |= {"code": told.code, "message": told.message}
        attempt = told.step if told.step.startswith("reauthorize") else told.attempt
        await self._book.record(
            f"awaiting-payment-{attempt}-{told.outcome}",
            OrderStatus.AWAITING_PAYMENT,
            EventType.ORDER_AWAITING_PAYMENT,
            data=data,
            awaiting=Awaiting(payment_action=told.action, retry_until=self._ends),
        )
        self._at_work = False
        answer = PaymentAnswer(outcome=told.outcome, code=told.code, message=told.message, retry_until=self._ends)
        self._answers[told.attempt] = answer
        self._answer_customer(_first_answer(self._order.order_id, answer))

    def _method(self, token: str | None, return_url: str | None) -> TryMethod:
        seconds = self._order.authentication_seconds
        if self._window:
            left = self._ends - workflow.now() if self._ends else self._window
            seconds = max(1, min(seconds, int(left.total_seconds())))
        return TryMethod(
            attempt=self._number, payment_method=token, return_url=return_url, authentication_seconds=seconds
        )


def _declined(told: PaymentUpdated) -> ApplicationError:
    message = told.message or "The bank declined the payment."
    details = {"decline_code": told.code or "card_declined"}
    return ApplicationError(message, details, type="payment_declined", non_retryable=True)


def _first_answer(order_id: str, answer: PaymentAnswer) -> CheckoutAnswer:
    if answer.outcome is PaymentOutcome.ACTION_REQUIRED:
        return CheckoutAnswer(order_id=order_id, outcome=CheckoutOutcome.ACTION_REQUIRED)
    details: dict[str, object] = {"decline_code": answer.code or "card_declined"}
    if answer.retry_until:
        details["retry_until"] = said(answer.retry_until)
    return CheckoutAnswer(
        order_id=order_id,
        outcome=CheckoutOutcome.DECLINED,
        code="payment_declined",
        message=answer.message,
        details=details,
    )
