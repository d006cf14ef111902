"""Orders: read from MySQL, whatever the workers do; cancelled through the order's workflow."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from api.deps import AppSettings, Orders, Temporal
from api.errors import is_temporal_away, problems
from api.ownership import CurrentOrder, OwnOrder, UnrecordedOrder
from api.permissions import CurrentPrincipal, acting, may, require
from api.principals import Principal
from api.temporal import OrderDesk, StillWorking
from domain.actors import customer_actor
from domain.errors import NotFound
from domain.orders import OrderStatus
from schemas.base import Payload
from schemas.orders import CancelOrder, CancelRequest, OrderHistory, OrderPage, OrderView


class PendingOrder(Payload):
    """An order that has been taken and is still being placed."""

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
    """My orders, newest first."""
    return orders.page(asker.id, cursor, limit)


@router.get(
    "/{order_id}",
    dependencies=[require("orders:read_own", "orders:read_any")],
    response_model=OrderView,
    responses={**PENDING, **problems(401, 404, 503)},
)
async def read_order(order: OwnOrder, temporal: Temporal, settings: AppSettings) -> OrderView | JSONResponse:
    """One order in full; 202 while it is still being placed."""
    if isinstance(order, OrderView):
        return order
    desk = OrderDesk(temporal, settings.checkout_answer_seconds)
    if await _came_to_nothing(order, desk):
        raise NotFound("This order was not placed.")
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
    """Everything that happened to the order, oldest first, without gaps in `seq`."""
    return orders.history(order.id, cursor or 0, limit)


@router.post(
    "/{order_id}/cancel",
    dependencies=[require("orders:cancel_own", "orders:cancel_any")],
    response_model=OrderView,
    responses={202: {"model": OrderView, "description": "Being cancelled"}, **problems(401, 403, 404, 409, 503)},
)
async def cancel_order(
    order: CurrentOrder,
    asker: CurrentPrincipal,
    orders: Orders,
    temporal: Temporal,
    settings: AppSettings,
    wanted: Annotated[CancelRequest | None, Body(openapi_examples={"size": {"value": _CANCEL_EXAMPLE}})] = None,
) -> OrderView | JSONResponse:
    """Stop an order that has not been handed to the warehouse; what was held is given back."""
    request = CancelOrder(actor=_canceller(order, asker), reason=(wanted or CancelRequest()).reason)
    try:
        await OrderDesk(temporal, settings.checkout_answer_seconds).cancel(order.id, request)
    except StillWorking:
        latest = await run_in_threadpool(orders.get, order.id)
        return JSONResponse((latest or order).model_dump(mode="json"), 202, headers={"Retry-After": "1"})
    return await run_in_threadpool(orders.get, order.id) or order


def pending(order_id: str) -> JSONResponse:
    """The order is being placed; here is where it will be."""
    headers = {"Location": f"/v1/orders/{order_id}", "Retry-After": "1"}
    return JSONResponse(PendingOrder(id=order_id).model_dump(), 202, headers=headers)


def _canceller(order: OrderView, asker: Principal) -> str:
    """What the order's history shall say; an API key acts as the person it belongs to."""
    if order.customer_id == asker.id and may(asker, "orders:cancel_own"):
        return customer_actor(asker.id)
    if not may(asker, "orders:cancel_any"):
        raise NotFound("There is no such order.")
    return acting(asker, "orders:cancel_any")


async def _came_to_nothing(order: UnrecordedOrder, desk: OrderDesk) -> bool:
    """Whether the workflow ended, or never began, without an order: then there is nothing to wait for."""
    try:
        return not await desk.is_running(order.id)
    except Exception as error:
        if not is_temporal_away(error):
            raise
        return False
