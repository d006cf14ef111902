"""Order search for staff, and what they decide about an order that needs an operator."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.idempotency import Begun
from api.answers import Answer
from api.deps import Checkouts, Orders, OrdersFound, SearchPool
from api.errors import problems
from api.order_requests import RESPONSES, OrderRequests
from api.ownership import CurrentOrder
from api.permissions import CurrentPrincipal, acting, require
from domain.errors import NothingToAdopt
from schemas.checkout import Adoption
from schemas.order_requests import (
    AdoptionRequest,
    ParcelSettlementRequest,
    SettleCompensation,
    SettlementRequest,
    SettleParcel,
)
from schemas.order_search import FoundOrders, OrderQuery
from schemas.orders import OrderView
from schemas.risk import Review, ReviewRequest

router = APIRouter(prefix="/v1/ops/orders", tags=["operations"])
_REVIEWS = {
    "approve": {"value": {"verdict": "approve", "reason": "spoke to the customer"}},
    "decline": {"value": {"verdict": "decline", "reason": "stolen card, see ticket 4711"}},
}
_SETTLEMENTS = {
    "try again": {"value": {"retry": True, "reason": "the carrier has found the parcel"}},
    "by hand": {"value": {"retry": False, "reason": "the customer keeps the parcel and has paid for it"}},
}
_PARCEL_SETTLEMENTS = {
    "stopped": {"value": {"outcome": "stopped", "reason": "it is still in our warehouse"}},
    "dispatched": {"value": {"outcome": "dispatched", "reason": "the driver has signed for it"}},
    "ask again": {"value": {"outcome": "retry", "reason": "the carrier's API works again"}},
}
_ADOPTIONS = {"terminated": {"value": {"reason": "its workflow was terminated in the Web UI"}}}


@router.post("/{order_id}/risk", dependencies=[require("orders:review")], response_model=OrderView, responses=RESPONSES)
async def review_order(
    body: Annotated[ReviewRequest, Body(openapi_examples=_REVIEWS)],
    order: CurrentOrder,
    asker: CurrentPrincipal,
    checkouts: Checkouts,
    requests: OrderRequests,
) -> Response:
    """Approve or decline an order that is on hold for review; without a decision in time a rule decides.

    Answers with the order: confirmed, or failed with nothing reserved and nothing charged. 409 `not_in_review` when it
    does not wait for a review.
    """
    review = Review(verdict=body.verdict, reason=body.reason, actor=acting(asker, "orders:review"))

    async def decide(begun: Begun) -> Answer:
        await checkouts.review(order.id, begun.resource_id, review)
        return await requests.as_it_is(order)

    return await requests.answer(f"/v1/ops/orders/{order.id}/risk", order, body, decide)


@router.post(
    "/{order_id}/compensation",
    dependencies=[require("orders:settle")],
    response_model=OrderView,
    responses=RESPONSES,
)
async def settle_order(
    body: Annotated[SettlementRequest, Body(openapi_examples=_SETTLEMENTS)],
    order: CurrentOrder,
    asker: CurrentPrincipal,
    checkouts: Checkouts,
    requests: OrderRequests,
) -> Response:
    """Retry a compensation that is blocked, or mark it as settled by hand.

    The order's history shows what needs an operator. Answers with the order at once: the compensation continues by
    itself, and may be blocked again. 409 `nothing_blocked` when no compensation is blocked.
    """
    decision = SettleCompensation(actor=acting(asker, "orders:settle"), reason=body.reason, retry=body.retry)

    async def settle(begun: Begun) -> Answer:
        await checkouts.settle(order.id, begun.resource_id, decision)
        return await requests.as_it_is(order)

    return await requests.answer(f"/v1/ops/orders/{order.id}/compensation", order, body, settle)


@router.post(
    "/{order_id}/parcels/{number}",
    dependencies=[require("orders:settle")],
    response_model=OrderView,
    responses=RESPONSES,
)
async def settle_parcel(
    number: Annotated[int, Path(ge=1, le=10_000)],
    body: Annotated[ParcelSettlementRequest, Body(openapi_examples=_PARCEL_SETTLEMENTS)],
    order: CurrentOrder,
    asker: CurrentPrincipal,
    checkouts: Checkouts,
    requests: OrderRequests,
) -> Response:
    """Say what became of a parcel of which the carrier does not say whether it was dispatched.

    The order then continues by itself: what was stopped is released and not charged, what was dispatched is charged.
    409 `parcel_not_unknown` when it is known what became of the parcel.
    """
    actor = acting(asker, "orders:settle")
    settlement = SettleParcel(parcel=number, outcome=body.outcome, actor=actor, reason=body.reason)

    async def settle(begun: Begun) -> Answer:
        await checkouts.settle_parcel(order.id, begun.resource_id, settlement)
        return await requests.as_it_is(order)

    return await requests.answer(f"/v1/ops/orders/{order.id}/parcels/{number}", order, body, settle)


@router.post(
    "/{order_id}/adopt", dependencies=[require("orders:settle")], response_model=OrderView, responses=RESPONSES
)
async def adopt_order(
    body: Annotated[AdoptionRequest, Body(openapi_examples=_ADOPTIONS)],
    order: CurrentOrder,
    asker: CurrentPrincipal,
    checkouts: Checkouts,
    orders: Orders,
    requests: OrderRequests,
) -> Response:
    """Take over an order that no workflow looks after, as the task `order_without_workflow` names it.

    What was dispatched goes on and is charged, everything else is stopped, voided and released. Answers with the order
    at once: that continues by itself, and may wait for an operator as any compensation. 409 `order_running` when a
    workflow of the order runs, `nothing_to_adopt` when it has ended and nothing of it is held, reserved or under way.
    """
    adoption = Adoption(actor=acting(asker, "orders:settle"), reason=body.reason)

    async def adopt(begun: Begun) -> Answer:
        try:
            taken_over = await run_in_threadpool(orders.checkout_of, order.id, adoption)
        except NothingToAdopt:
            if not await checkouts.was_adopted_by(order.id, begun.resource_id):
                raise
        else:
            assert taken_over is not None, "it has just been read"
            await checkouts.adopt(taken_over, begun.resource_id)
        return await requests.as_it_is(order)

    return await requests.answer(f"/v1/ops/orders/{order.id}/adopt", order, body, adopt)


@router.get("", dependencies=[require("ops:orders")], responses=problems(401, 403, 422, 503))
async def search_orders(query: Annotated[OrderQuery, Query()], search: OrdersFound, threads: SearchPool) -> FoundOrders:
    """Search orders; those that need an operator come first. Each order is shown as MySQL has it now.

    `operator_tasks` says what waits for a person, why, since when, until when, and which route acts on it. A list
    without `q` is answered while the search index is away.
    """
    return await threads.ask(search.search, query)
