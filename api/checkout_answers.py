"""What a checkout is answered: the workflow's answer as HTTP, or MySQL's where the workflow is no longer kept."""

from collections.abc import Iterable
from dataclasses import dataclass

from adapters.mysql.orders.orders import OrderStore
from api.answers import Answer
from api.cart_prices import CartPrices
from api.errors import HttpProblem, http_problem, status_of_code
from domain.carts import user_owner
from domain.errors import BusinessError, CartChanged, OutOfStock, QuoteChanged
from domain.events import EventType
from schemas.base import UnknownValue
from schemas.checkout import CheckoutAnswer, CheckoutOutcome, CheckoutRequest, outcome_of_end
from schemas.order_requests import Choice
from schemas.orders import OrderEvent, OrderView
from schemas.problem_codes import ProblemCode
from schemas.users import Account
from temporal_clients.errors import StillWorking

INSTANCE = "/v1/checkouts"
_GOES_ON = (
    CheckoutOutcome.AUTHORIZED,
    CheckoutOutcome.ACTION_REQUIRED,
    CheckoutOutcome.DECISION_REQUIRED,
    CheckoutOutcome.ON_HOLD,
)
_OUTCOME_OF_EVENT: dict[str, CheckoutOutcome] = {
    EventType.ORDER_CONFIRMED: CheckoutOutcome.AUTHORIZED,
    EventType.ORDER_AWAITING_CUSTOMER: CheckoutOutcome.DECISION_REQUIRED,
    EventType.ORDER_ON_HOLD: CheckoutOutcome.ON_HOLD,
}


@dataclass(frozen=True)
class CheckoutAnswers:
    """Words the answers with the order and the cart as they are now."""

    orders: OrderStore
    prices: CartPrices

    def of_checkout(
        self, order_id: str, answer: CheckoutAnswer | None, user: Account, request: CheckoutRequest
    ) -> Answer:
        """The answer to the request and all its repeats; raises StillWorking while there is none."""
        answer = answer or first_answer(order_id, self.orders.history(order_id).items)
        if answer is None or isinstance(answer.outcome, UnknownValue):  # the order itself shows it
            raise StillWorking
        if answer.outcome in _GOES_ON:
            order = self.orders.get(order_id)
            if order is None:
                raise StillWorking
            return Answer.showing(order, 201)
        return Answer.refusing(_problem(answer, self._what_changed(answer, user, request)), INSTANCE)

    def of_decision(self, order: OrderView, answer: CheckoutAnswer, choice: Choice, path: str) -> Answer:
        """What became of an order whose customer has decided."""
        if isinstance(answer.outcome, UnknownValue):
            raise StillWorking
        if answer.outcome in _GOES_ON or (choice is Choice.CANCEL and answer.outcome is CheckoutOutcome.CANCELLED):
            return Answer.showing(self.orders.get(order.id) or order)
        return Answer.refusing(_problem(answer, {}), path)

    def _what_changed(self, answer: CheckoutAnswer, user: Account, request: CheckoutRequest) -> dict[str, object]:
        """What changed between our look and the workflow's, as it is now."""
        if answer.code not in (QuoteChanged.code, CartChanged.code):
            return {}
        try:
            cart = self.prices.current(user_owner(user.id))
            if answer.code == CartChanged.code:
                return self.prices.cart_changed(cart, "").details
            return {"quote": self.prices.quote(self.prices.price(cart, request, user.id)), "changed": ["total"]}
        except BusinessError as refusal:  # the cart is empty, or cannot be ordered any more: that is what has changed
            return {"changed": ["cart"], "reason": http_problem(refusal).code}


def first_answer(order_id: str, events: Iterable[OrderEvent]) -> CheckoutAnswer | None:
    """The customer's first answer, read from the order's history: the same as the workflow gave."""
    for event in events:
        if event.type in _OUTCOME_OF_EVENT:
            return CheckoutAnswer(order_id=order_id, outcome=_OUTCOME_OF_EVENT[event.type])
        if event.type == EventType.ORDER_AWAITING_PAYMENT and "payment_action" in event.data:
            return CheckoutAnswer(order_id=order_id, outcome=CheckoutOutcome.ACTION_REQUIRED)
        if event.type == EventType.ORDER_AWAITING_PAYMENT:
            code, until = event.data["code"], event.data["retry_until"]
            details = {"decline_code": code, "retry_until": until}
            return _refused(order_id, ProblemCode.PAYMENT_DECLINED, event, details)
        if event.type in (EventType.ORDER_FAILED, EventType.ORDER_CANCELLED):
            details = {name: value for name, value in event.data.items() if name not in ("code", "message", "reason")}
            return _refused(order_id, str(event.data.get("code") or ProblemCode.CANCELLED), event, details)
    return None


def _refused(order_id: str, code: str, event: OrderEvent, details: dict[str, object]) -> CheckoutAnswer:
    message = event.data.get("message")
    return CheckoutAnswer(
        order_id=order_id,
        outcome=outcome_of_end(code),
        code=code,
        message=str(message) if message else None,
        details=details,
    )


def _problem(answer: CheckoutAnswer, changed: dict[str, object]) -> HttpProblem:
    by_outcome: dict[CheckoutOutcome, tuple[int, str, str]] = {
        CheckoutOutcome.DECLINED: (402, ProblemCode.PAYMENT_DECLINED, "The bank declined the payment."),
        CheckoutOutcome.OUT_OF_STOCK: (409, OutOfStock.code, "Not everything is in stock."),
        CheckoutOutcome.REFUSED: (status_of_code(answer.code), ProblemCode.REFUSED, "The order cannot be placed."),
        CheckoutOutcome.CANCELLED: (409, ProblemCode.CANCELLED, "The order was cancelled."),
    }
    status, code, detail = by_outcome[CheckoutOutcome(answer.outcome)]
    members = {**answer.details, **changed, "order_id": answer.order_id}
    return HttpProblem(status, answer.code or code, answer.message or detail, members=members)
