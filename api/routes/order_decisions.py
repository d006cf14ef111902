"""Deciding about an order of which only a part can be had."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.idempotency import Begun
from api.checkout_answers import decision_answer
from api.deps import All
from api.idempotency import Answer, OnceInWorkflow
from api.order_requests import RESPONSES, answer_once, path_of
from api.ownership import CustomersOrder
from api.permissions import require
from api.temporal import OrderDesk
from domain.actors import customer_actor
from schemas.orders import Decision, DecisionRequest, OrderView

router = APIRouter(prefix="/v1/orders", tags=["orders"])
_EXAMPLES = {
    "a part": {"value": {"choice": "take_available"}},
    "all of it, later": {"value": {"choice": "wait"}},
    "nothing": {"value": {"choice": "cancel"}},
}


@router.post(
    "/{order_id}/decision", dependencies=[require("checkout:place")], response_model=OrderView, responses=RESPONSES
)
async def decide_about_order(
    wanted: Annotated[DecisionRequest, Body(openapi_examples=_EXAMPLES)],
    order: CustomersOrder,
    everything: All,
    once: OnceInWorkflow,
) -> Response:
    """Take what there is (for `shortage.take_available_total`), wait for all of it, or have nothing.

    Answers with the order: cancelled, or paid for as by `POST /v1/checkouts`, which can also be a 402. Without a
    decision until `shortage.decide_until` the order ends, and nothing is charged.
    """
    decision = Decision(choice=wanted.choice, actor=customer_actor(order.customer_id))

    async def decide(desk: OrderDesk, begun: Begun) -> Answer:
        told = await desk.decide(order.id, begun.resource_id, decision)
        return await run_in_threadpool(decision_answer, everything, order, told, wanted.choice)

    return await answer_once(everything, once, path_of(order, "decision"), order, wanted, decide)
