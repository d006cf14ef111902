"""Placing an order: one Idempotency-Key, one order, one answer."""

from typing import Annotated

from fastapi import APIRouter, Body, Response

from api.deps import Placement
from api.errors import problems
from api.idempotency import OnceInWorkflow
from api.permissions import CurrentUser, require
from api.routes.orders import PENDING, pending
from schemas.checkout import CheckoutRequest
from schemas.orders import OrderView

router = APIRouter(prefix="/v1/checkouts", tags=["checkout"])
ROUTE = "POST /v1/checkouts"
_EXAMPLE = {
    "cart_version": 3,
    "shipping_address": {
        "name": "Ada Lovelace",
        "line1": "Unter den Linden 1",
        "city": "Berlin",
        "postal_code": "10117",
        "country": "DE",
    },
    "shipping_method": "standard",
    "payment_method": "pm_card_visa",
}
_EXAMPLES = {
    "visa": {"value": _EXAMPLE},
    "ask when partly out of stock": {"value": {**_EXAMPLE, "on_shortage": "ask"}},
    "store credit first": {"value": {**_EXAMPLE, "use_store_credit": True}},
    "as_quoted": {"value": {**_EXAMPLE, "discount_code": "SPRING-26", "quote": "eyJjYXJ0X2lkIjoi…"}},
}


@router.post(
    "",
    status_code=201,
    dependencies=[require("checkout:place")],
    response_model=OrderView,
    responses={**PENDING, **problems(400, 401, 402, 403, 409, 422, 503)},
)
async def place_order(
    body: Annotated[CheckoutRequest, Body(openapi_examples=_EXAMPLES)],
    user: CurrentUser,
    placement: Placement,
    once: OnceInWorkflow,
) -> Response:
    """Order what is in the cart; answers once stock is reserved and the payment has its first answer.

    An order with a `shortage` waits for `POST /v1/orders/{id}/decision`, one with a `payment_action` until the customer
    has authenticated the payment with their bank. After a 402 the order waits until `retry_until` for another payment
    method (`POST /v1/orders/{id}/payment`); a new checkout of the same cart replaces it.
    """
    begun, answer = await once.answer(ROUTE, body, lambda begun: placement.answer(user, body, begun))
    if answer is None:
        return pending(begun.resource_id)
    return answer.response(f"/v1/orders/{begun.resource_id}")
