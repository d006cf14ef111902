"""Paying for an order whose first payment failed."""

from typing import Annotated

from fastapi import APIRouter, Body, Response

from adapters.mysql.idempotency import Begun
from api.answers import Answer
from api.deps import Checkouts
from api.errors import HttpProblem
from api.order_requests import RESPONSES, OrderRequests
from api.ownership import CustomersOrder
from api.permissions import require
from schemas.orders import OrderView
from schemas.payments import RetryPayment, RetryPaymentRequest
from schemas.problem_codes import ProblemCode
from schemas.provider_calls import PaymentOutcome

router = APIRouter(prefix="/v1/orders", tags=["orders"])
_EXAMPLE = {"mastercard": {"value": {"payment_method": "pm_card_mastercard"}}}


@router.post(
    "/{order_id}/payment", dependencies=[require("checkout:place")], response_model=OrderView, responses=RESPONSES
)
async def retry_payment(
    body: Annotated[RetryPaymentRequest, Body(openapi_examples=_EXAMPLE)],
    order: CustomersOrder,
    checkouts: Checkouts,
    requests: OrderRequests,
) -> Response:
    """Pay with another method while the order awaits its payment, also instead of completing a `payment_action`.

    Answers with the order, confirmed or with a new `payment_action`, or with a 402 when this method is declined too;
    another one can be tried until `retry_until`.
    """
    path = f"{router.prefix}/{order.id}/payment"

    retry = RetryPayment(payment_method=body.payment_method, payment_return_url=body.payment_return_url)

    async def pay(begun: Begun) -> Answer:
        payment = await checkouts.retry_payment(order.id, begun.resource_id, retry)
        if payment.outcome is not PaymentOutcome.DECLINED:
            return await requests.as_it_is(order)
        until = payment.model_dump(mode="json")["retry_until"]
        members = {"order_id": order.id, "decline_code": payment.code, "retry_until": until}
        detail = payment.message or "The bank declined the payment."
        problem = HttpProblem(402, ProblemCode.PAYMENT_DECLINED, detail, members=members)
        return Answer.refusing(problem, path)

    return await requests.answer(path, order, body, pay)
