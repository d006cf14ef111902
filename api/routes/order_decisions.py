"""The customer's decision about an order that is partly out of stock."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.idempotency import Begun
from api.answers import Answer
from api.deps import Answers, Checkouts
from api.order_requests import RESPONSES, OrderRequests
from api.ownership import CustomersOrder
from api.permissions import require
from domain.actors import customer_actor
from schemas.order_requests import Decision, DecisionRequest
from schemas.orders import OrderView

router = APIRouter(prefix="/v1/orders", tags=["orders"])
_EXAMPLES = {
    "take a part": {"value": {"choice": "take_available"}},
    "wait for all": {"value": {"choice": "wait"}},
    "cancel": {"value": {"choice": "cancel"}},
}


@router.post(
    "/{order_id}/decision", dependencies=[require("checkout:place")], response_model=OrderView, responses=RESPONSES
)
async def decide_about_order(
    body: Annotated[DecisionRequest, Body(openapi_examples=_EXAMPLES)],
    order: CustomersOrder,
    checkouts: Checkouts,
    answers: Answers,
    requests: OrderRequests,
) -> Response:
    """Take what is available (for `shortage.take_available_total`), wait for the whole order, or cancel it.

    Answers with the order: cancelled, or paid for as by `POST /v1/checkouts`, which can also be a 402. Without a
    decision until `shortage.decide_until` the order is cancelled and nothing is charged.
    """
    path = f"{router.prefix}/{order.id}/decision"
    decision = Decision(choice=body.choice, actor=customer_actor(order.customer_id))

    async def decide(begun: Begun) -> Answer:
        answer = await checkouts.decide(order.id, begun.resource_id, decision)
        return await run_in_threadpool(answers.of_decision, order, answer, body.choice, path)

    return await requests.answer(path, order, body, decide)
