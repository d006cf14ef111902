"""What the customer of a confirmed order decides about goods that have not arrived, for as long as they have not."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.idempotency import Begun
from api.answers import Answer
from api.deps import BackorderPromises, Checkouts
from api.errors import problems
from api.order_requests import CancelRequests
from api.ownership import CurrentOrder
from api.permissions import CurrentPrincipal, require
from api.routes.orders import canceller
from schemas.checkout import CancelledLine
from schemas.order_requests import BackorderRequest, CancelOrder, Choice
from schemas.orders import OrderView

router = APIRouter(prefix="/v1/orders", tags=["orders"])
_EXAMPLES = {
    "wait longer": {"value": {"choice": "wait"}},
    "take the rest alone": {"value": {"choice": "take_available"}},
    "cancel": {"value": {"choice": "cancel"}},
}


@router.post(
    "/{order_id}/backorder",
    dependencies=[require("orders:cancel_own", "orders:cancel_any")],
    response_model=OrderView,
    responses={
        202: {"model": OrderView, "description": "Being cancelled; send the same request again"},
        **problems(400, 401, 403, 404, 409, 422, 503),
    },
)
async def decide_about_backorder(
    *,
    body: Annotated[BackorderRequest, Body(openapi_examples=_EXAMPLES)],
    order: CurrentOrder,
    asker: CurrentPrincipal,
    checkouts: Checkouts,
    promises: BackorderPromises,
    requests: CancelRequests,
) -> Response:
    """Decide about goods that have not arrived: wait for them as long again, counted from now; take the rest alone; or
    cancel what was not dispatched. What is cancelled is not charged.

    Without a decision they are cancelled some time after `backordered_until` of their parcel. 409 `not_backordered`
    when nothing of the order waits for goods.
    """
    actor = canceller(order, asker)

    async def decide(begun: Begun) -> Answer:
        if body.choice is Choice.WAIT:
            await run_in_threadpool(promises.wait_longer, order.id, actor)
        else:
            units = await run_in_threadpool(promises.waiting_units, order.id)
            lines = [CancelledLine(sku=sku, quantity=quantity) for sku, quantity in units.items()]
            some = lines if body.choice is Choice.TAKE_AVAILABLE else []
            request = CancelOrder(actor=actor, reason="not waiting for what has not arrived", lines=some)
            await checkouts.cancel(order.id, begun.resource_id, request)
        return await requests.as_it_is(order)

    return await requests.answer(f"{router.prefix}/{order.id}/backorder", order, body, decide)
