"""Paying for an order whose first payment came to nothing."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.idempotency import Begun
from api.deps import All, Services
from api.errors import HttpProblem, problems
from api.idempotency import Answer, OnceInWorkflow
from api.ownership import CurrentOrder
from api.permissions import CurrentUser, require
from api.routes.orders import still_working
from api.temporal import OrderDesk
from domain.errors import NotFound
from schemas.orders import OrderView
from schemas.payments import PayAgainRequest, PaymentOutcome

router = APIRouter(prefix="/v1/orders", tags=["orders"])
_EXAMPLE = {"mastercard": {"value": {"payment_method": "pm_card_mastercard"}}}


@router.post(
    "/{order_id}/payment",
    dependencies=[require("checkout:place")],
    response_model=OrderView,
    responses={
        202: {"model": OrderView, "description": "The bank is still thinking; send the same request again"},
        **problems(400, 401, 402, 403, 404, 409, 422, 503),
    },
)
async def pay_order_again(
    wanted: Annotated[PayAgainRequest, Body(openapi_examples=_EXAMPLE)],
    order: CurrentOrder,
    user: CurrentUser,
    everything: All,
    once: OnceInWorkflow,
) -> Response:
    """Give another method for an order that awaits its payment; one whose bank wants to see you can be left this way.

    Answers with the order – confirmed, or with a new `payment_action` –, or with a 402 when this method was refused
    too; until `retry_until` there may be another.
    """
    if order.customer_id != user.id:
        raise NotFound("There is no such order.")
    route = f"POST /v1/orders/{order.id}/payment"
    _, answer = await once.answer(route, wanted, lambda begun: _pay(everything, order, wanted, begun))
    return answer.response() if answer is not None else await still_working(everything, order)


async def _pay(everything: Services, order: OrderView, wanted: PayAgainRequest, begun: Begun) -> Answer:
    desk = OrderDesk(everything.temporal, everything.settings.checkout_answer_seconds)
    told = await desk.pay_again(order.id, begun.resource_id, wanted)
    if told.outcome is not PaymentOutcome.DECLINED:
        latest = await run_in_threadpool(everything.orders.get, order.id) or order
        return Answer(200, latest.model_dump(mode="json"))
    until = told.model_dump(mode="json")["retry_until"]
    members = {"order_id": order.id, "decline_code": told.code, "retry_until": until}
    detail = told.message or "The bank declined the payment."
    return Answer.refusing(
        HttpProblem(402, "payment_declined", detail, members=members), f"/v1/orders/{order.id}/payment"
    )
