"""Deciding about an order of which only a part can be had."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.idempotency import Begun
from api.checkout_answers import decision_answer
from api.deps import All, Services
from api.errors import problems
from api.idempotency import Answer, OnceInWorkflow
from api.ownership import CurrentOrder
from api.permissions import CurrentUser, require
from api.routes.orders import still_working
from api.temporal import OrderDesk
from domain.errors import NotFound
from schemas.orders import Decision, DecisionRequest, OrderView

router = APIRouter(prefix="/v1/orders", tags=["orders"])
_EXAMPLES = {
    "a part": {"value": {"choice": "take_available"}},
    "all of it, later": {"value": {"choice": "wait"}},
    "nothing": {"value": {"choice": "cancel"}},
}


@router.post(
    "/{order_id}/decision",
    dependencies=[require("checkout:place")],
    response_model=OrderView,
    responses={
        202: {"model": OrderView, "description": "The order is still being paid; send the same request again"},
        **problems(400, 401, 402, 403, 404, 409, 422, 503),
    },
)
async def decide_about_order(
    wanted: Annotated[DecisionRequest, Body(openapi_examples=_EXAMPLES)],
    order: CurrentOrder,
    user: CurrentUser,
    everything: All,
    once: OnceInWorkflow,
) -> Response:
    """Take what there is (for `shortage.take_available_total`), wait for all of it, or have nothing.

    Answers with the order: cancelled, or paid for as by `POST /v1/checkouts`, which can also be a 402. Without a
    decision until `shortage.decide_until` the order ends, and nothing is charged.
    """
    if order.customer_id != user.id:
        raise NotFound("There is no such order.")
    decision = Decision(choice=wanted.choice, actor=f"customer:{user.id}")
    route = f"POST /v1/orders/{order.id}/decision"
    _, answer = await once.answer(route, wanted, lambda begun: _decide(everything, order, decision, begun))
    return answer.response() if answer is not None else await still_working(everything, order)


async def _decide(everything: Services, order: OrderView, decision: Decision, begun: Begun) -> Answer:
    desk = OrderDesk(everything.temporal, everything.settings.checkout_answer_seconds)
    told = await desk.decide(order.id, begun.resource_id, decision)
    return await run_in_threadpool(decision_answer, everything, order, told, decision.choice)
