"""What staff decides about an order that cannot go on without them."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.idempotency import Begun
from api.deps import All
from api.idempotency import Answer, OnceInWorkflow
from api.order_requests import RESPONSES, answer_once
from api.ownership import CurrentOrder
from api.permissions import CurrentPrincipal, acting, require
from api.temporal import OrderDesk
from schemas.orders import OrderView, SettleCompensation, SettlementRequest
from schemas.risk import Review, ReviewRequest

router = APIRouter(prefix="/v1/ops/orders", tags=["operations"])
_REVIEWS = {
    "let it go on": {"value": {"verdict": "approve", "reason": "spoke to the customer"}},
    "take it back": {"value": {"verdict": "decline", "reason": "stolen card, see ticket 4711"}},
}
_SETTLEMENTS = {
    "try again": {"value": {"retry": True, "reason": "the carrier has found the parcel"}},
    "by hand": {"value": {"retry": False, "reason": "the customer keeps the parcel and has paid for it"}},
}


@router.post("/{order_id}/risk", dependencies=[require("orders:review")], response_model=OrderView, responses=RESPONSES)
async def review_order(
    wanted: Annotated[ReviewRequest, Body(openapi_examples=_REVIEWS)],
    order: CurrentOrder,
    asker: CurrentPrincipal,
    everything: All,
    once: OnceInWorkflow,
) -> Response:
    """Let an order that is held for review go on, or take it back; without either its time decides.

    Answers with the order: confirmed, or failed with nothing held and nothing charged. 409 `not_in_review` otherwise.
    """
    review = Review(verdict=wanted.verdict, reason=wanted.reason, actor=acting(asker, "orders:review"))

    async def decide(desk: OrderDesk, begun: Begun) -> Answer:
        await desk.review(order.id, begun.resource_id, review)
        return await run_in_threadpool(_as_it_stands, everything, order)

    return await answer_once(everything, once, f"/v1/ops/orders/{order.id}/risk", order, wanted, decide)


@router.post(
    "/{order_id}/compensation",
    dependencies=[require("orders:settle")],
    response_model=OrderView,
    responses=RESPONSES,
)
async def settle_order(
    wanted: Annotated[SettlementRequest, Body(openapi_examples=_SETTLEMENTS)],
    order: CurrentOrder,
    asker: CurrentPrincipal,
    everything: All,
    once: OnceInWorkflow,
) -> Response:
    """Say of an order that could not be taken back as a whole that it is to be tried again, or was settled by hand.

    What is owed stands in the order's history. Answers with the order at once: taking back goes on by itself, and may
    come to a halt again. 409 `nothing_blocked` when it waits for nobody.
    """
    decision = SettleCompensation(actor=acting(asker, "orders:settle"), reason=wanted.reason, retry=wanted.retry)

    async def settle(desk: OrderDesk, begun: Begun) -> Answer:
        await desk.settle(order.id, begun.resource_id, decision)
        return await run_in_threadpool(_as_it_stands, everything, order)

    return await answer_once(everything, once, f"/v1/ops/orders/{order.id}/compensation", order, wanted, settle)


def _as_it_stands(everything: All, order: OrderView) -> Answer:
    latest = everything.orders.get(order.id) or order
    return Answer(200, latest.model_dump(mode="json"))
