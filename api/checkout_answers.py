"""What a checkout is answered: the workflow's words in HTTP's, or the books' where the workflow is forgotten."""

from collections.abc import Iterable

from api.cart_prices import cart_changed, current_cart, price_cart
from api.deps import Services
from api.errors import HttpProblem, http_problem, status_of_code
from api.idempotency import Answer
from api.order_requests import path_of
from api.temporal import StillWorking
from domain.carts import user_owner
from domain.errors import BusinessError
from domain.events import EventType
from schemas.base import UnknownValue
from schemas.checkout import CheckoutAnswer, CheckoutOutcome, CheckoutRequest, outcome_of_end
from schemas.orders import Choice, OrderEvent, OrderView
from schemas.users import Account

INSTANCE = "/v1/checkouts"
_GOES_ON = (
    CheckoutOutcome.AUTHORIZED,
    CheckoutOutcome.ACTION_REQUIRED,
    CheckoutOutcome.DECISION_REQUIRED,
    CheckoutOutcome.ON_HOLD,
)
_TOLD_BY: dict[str, CheckoutOutcome] = {
    EventType.ORDER_CONFIRMED: CheckoutOutcome.AUTHORIZED,
    EventType.ORDER_AWAITING_CUSTOMER: CheckoutOutcome.DECISION_REQUIRED,
    EventType.ORDER_ON_HOLD: CheckoutOutcome.ON_HOLD,
}


def checkout_answer(
    everything: Services, order_id: str, told: CheckoutAnswer | None, user: Account, wanted: CheckoutRequest
) -> Answer:
    """The answer to the request and all its repeats; raises StillWorking while there is none."""
    told = told or first_told(order_id, everything.orders.history(order_id).items)
    if told is None or isinstance(told.outcome, UnknownValue):  # the order itself shows it
        raise StillWorking
    if told.outcome in _GOES_ON:
        order = everything.orders.get(order_id)
        if order is None:
            raise StillWorking
        return Answer(201, order.model_dump(mode="json"))
    return Answer.refusing(_problem(told, _shown_anew(everything, told, user, wanted)), INSTANCE)


def decision_answer(everything: Services, order: OrderView, told: CheckoutAnswer, choice: Choice) -> Answer:
    """What became of an order whose customer has decided."""
    if isinstance(told.outcome, UnknownValue):
        raise StillWorking
    if told.outcome in _GOES_ON or (choice is Choice.CANCEL and told.outcome is CheckoutOutcome.CANCELLED):
        latest = everything.orders.get(order.id) or order
        return Answer(200, latest.model_dump(mode="json"))
    return Answer.refusing(_problem(told, {}), path_of(order, "decision"))


def first_told(order_id: str, events: Iterable[OrderEvent]) -> CheckoutAnswer | None:
    """What the customer was told first, read from the order's history: the same as the workflow said."""
    for event in events:
        if event.type in _TOLD_BY:
            return CheckoutAnswer(order_id=order_id, outcome=_TOLD_BY[event.type])
        if event.type == EventType.ORDER_AWAITING_PAYMENT and "payment_action" in event.data:
            return CheckoutAnswer(order_id=order_id, outcome=CheckoutOutcome.ACTION_REQUIRED)
        if event.type == EventType.ORDER_AWAITING_PAYMENT:
            code, until = event.data["code"], event.data["retry_until"]
            details = {"decline_code": code, "retry_until": until}
            return _refused(order_id, "payment_declined", event, details)
        if event.type in (EventType.ORDER_FAILED, EventType.ORDER_CANCELLED):
            details = {name: one for name, one in event.data.items() if name not in ("code", "message", "reason")}
            return _refused(order_id, str(event.data.get("code") or "cancelled"), event, details)
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


def _shown_anew(
    everything: Services, told: CheckoutAnswer, user: Account, wanted: CheckoutRequest
) -> dict[str, object]:
    """What changed between our look and the workflow's, as it is now."""
    if told.code not in ("quote_changed", "cart_changed"):
        return {}
    try:
        cart = current_cart(everything, user_owner(user.id), None)
        if told.code == "cart_changed":
            return cart_changed(everything, cart, "").details
        return {"quote": price_cart(everything, cart, wanted, user.id).quote(everything), "changed": ["total"]}
    except BusinessError as refusal:  # the cart is empty, or cannot be ordered any more: that is what has changed
        return {"changed": ["cart"], "reason": http_problem(refusal).code}


def _problem(told: CheckoutAnswer, shown: dict[str, object]) -> HttpProblem:
    by_outcome = {
        CheckoutOutcome.DECLINED: (402, "payment_declined", "The bank declined the payment."),
        CheckoutOutcome.OUT_OF_STOCK: (409, "out_of_stock", "Not everything can be delivered."),
        CheckoutOutcome.REFUSED: (status_of_code(told.code), "refused", "The order cannot be placed."),
        CheckoutOutcome.CANCELLED: (409, "cancelled", "The order has been cancelled."),
    }
    status, code, detail = by_outcome[CheckoutOutcome(told.outcome)]
    members = {**told.details, **shown, "order_id": told.order_id}
    return HttpProblem(status, told.code or code, told.message or detail, members=members)
