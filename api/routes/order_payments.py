"""Paying for an order whose first payment came to nothing."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.idempotency import Begun
from api.deps import All
from api.errors import HttpProblem
from api.idempotency import Answer, OnceInWorkflow
from api.order_requests import RESPONSES, answer_once, path_of
from api.ownership import CustomersOrder
from api.permissions import require
from api.temporal import OrderDesk
from schemas.orders import OrderView
from schemas.payments import PaymentOutcome, RetryPayment, RetryPaymentRequest

router = APIRouter(prefix="/v1/orders", tags=["orders"])
_EXAMPLE = {"mastercard": {"value": {"payment_method": "pm_card_mastercard"}}}


@router.post(
    "/{order_id}/payment", dependencies=[require("checkout:place")], response_model=OrderView, responses=RESPONSES
)
async def pay_order_again(
    wanted: Annotated[RetryPaymentRequest, Body(openapi_examples=_EXAMPLE)],
    order: CustomersOrder,
    everything: All,
    once: OnceInWorkflow,
) -> Response:
    """Give another method for an order that awaits its payment; one whose bank wants to see you can be left this way.

    Answers with the order – confirmed, or with a new `payment_action` –, or with a 402 when this method was refused
    too; until `retry_until` there may be another.
    """
    again = RetryPayment(payment_method=wanted.payment_method, payment_return_url=wanted.payment_return_url)

    async def pay(desk: OrderDesk, begun: Begun) -> Answer:
        told = await desk.retry_payment(order.id, begun.resource_id, again)
        if told.outcome is not PaymentOutcome.DECLINED:
            latest = await run_in_threadpool(everything.orders.get, order.id) or order
            return Answer(200, latest.model_dump(mode="json"))
        until = told.model_dump(mode="json")["retry_until"]
        members = {"order_id": order.id, "decline_code": told.code, "retry_until": until}
        detail = told.message or "The bank declined the payment."
        problem = HttpProblem(402, "payment_declined", detail, members=members)
        return Answer.refusing(problem, path_of(order, "payment"))

    return await answer_once(everything, once, path_of(order, "payment"), order, wanted, pay)
