"""Orders: read from MySQL, also while no worker runs; cancelled through the order's workflow."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response
from fastapi.responses import JSONResponse

from adapters.mysql.idempotency import Begun
from api.answers import Answer
from api.deps import Checkouts, Orders
from api.errors import problems
from api.order_requests import CancelRequests
from api.ownership import CurrentOrder, OwnOrder, UnrecordedOrder
from api.permissions import CurrentPrincipal, Permission, acting, may, require
from api.principals import Principal
from domain.actors import customer_actor
from domain.errors import NotFound
from domain.orders import OrderStatus
from schemas.base import Payload
from schemas.checkout import CancelledLine
from schemas.order_requests import CancelOrder, CancelRequest
from schemas.orders import OrderHistory, OrderPage, OrderView
from temporal_clients.checkouts import CheckoutClient
from temporal_clients.errors import is_temporal_away


class PendingOrder(Payload):
    """An order that has been accepted and is still being placed."""

    id: str
    status: OrderStatus = OrderStatus.PENDING


router = APIRouter(prefix="/v1/orders", tags=["orders"])
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[int | None, Query(ge=0, le=2**62)]
PENDING: dict[int | str, dict[str, Any]] = {
    202: {"model": PendingOrder, "description": "Still being placed; ask again after Retry-After"}
}
_CANCEL_EXAMPLE = {"reason": "ordered the wrong size"}


@router.get("", dependencies=[require("orders:read_own")], responses=problems(401, 422, 503))
def list_own_orders(asker: CurrentPrincipal, orders: Orders, cursor: Cursor = None, limit: Limit = 20) -> OrderPage:
    """Your orders, newest first."""
    return orders.page(asker.id, cursor, limit)


@router.get(
    "/{order_id}",
    dependencies=[require("orders:read_own", "orders:read_any")],
    response_model=OrderView,
    responses={**PENDING, **problems(401, 404, 503)},
)
async def read_order(order: OwnOrder, checkouts: Checkouts) -> OrderView | JSONResponse:
    """One order; 202 while it is still being placed."""
    if isinstance(order, OrderView):
        return order
    if await _was_not_placed(order, checkouts):
        raise NotFound("The order was not placed.")
    return pending(order.id)


@router.get(
    "/{order_id}/history",
    dependencies=[require("orders:read_own", "orders:read_any")],
    responses=problems(401, 404, 409, 503),
)
def read_order_history(
    order: CurrentOrder,
    orders: Orders,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> OrderHistory:
    """The events of the order, oldest first, without gaps in `seq`."""
    return orders.history(order.id, cursor or 0, limit)


@router.post(
    "/{order_id}/cancel",
    dependencies=[require("orders:cancel_own", "orders:cancel_any")],
    response_model=OrderView,
    responses={
        202: {"model": OrderView, "description": "Being cancelled; send the same request again"},
        **problems(400, 401, 403, 404, 409, 422, 503),
    },
)
async def cancel_order(
    order: CurrentOrder,
    asker: CurrentPrincipal,
    checkouts: Checkouts,
    requests: CancelRequests,
    body: Annotated[CancelRequest | None, Body(openapi_examples={"size": {"value": _CANCEL_EXAMPLE}})] = None,
) -> Response:
    """Cancel an order, or some `lines` of it, before their parcels are dispatched: reserved stock is released, and what
    is cancelled is not charged. What was dispatched goes on. Lines can be cancelled once the order is confirmed; their
    part of discount, shipping and tax is not charged either.

    202 while that takes longer, 503 when nobody has accepted it yet; both name the key to ask again with. Without an
    Idempotency-Key the same request counts as a repeat.
    """
    wanted = body or CancelRequest()
    lines = [CancelledLine(sku=line.sku, quantity=line.quantity) for line in wanted.lines or []]
    request = CancelOrder(actor=canceller(order, asker), reason=wanted.reason, lines=lines)

    async def cancel(begun: Begun) -> Answer:
        await checkouts.cancel(order.id, begun.resource_id, request)
        return await requests.as_it_is(order)

    return await requests.answer(f"{router.prefix}/{order.id}/cancel", order, wanted, cancel)


def pending(order_id: str) -> JSONResponse:
    """202 with the address where the order will be."""
    headers = {"Location": f"/v1/orders/{order_id}", "Retry-After": "1"}
    return JSONResponse(PendingOrder(id=order_id).model_dump(), 202, headers=headers)


def canceller(order: OrderView, asker: Principal) -> str:
    """Who cancels, as the order's history names them."""
    return actor_of(order, asker, "orders:cancel_own", "orders:cancel_any")


def actor_of(order: OrderView, asker: Principal, own: Permission, any_order: Permission) -> str:
    """The actor in the order's history; an API key acts as the person it belongs to."""
    if order.customer_id == asker.id and may(asker, own):
        return customer_actor(asker.id)
    if not may(asker, any_order):
        raise NotFound("There is no such order.")
    return acting(asker, any_order)


async def _was_not_placed(order: UnrecordedOrder, checkouts: CheckoutClient) -> bool:
    """Whether the workflow ended, or never started, without an order."""
    try:
        return not await checkouts.is_running(order.id)
    except Exception as error:
        if not is_temporal_away(error):
            raise
        return False
