"""Stock, for staff: what is on hand, what moved, and the rules of a SKU."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.orders.stock import Poster
from api.deps import Running, StockStore
from api.errors import problems
from api.idempotency import IdempotencyKey
from api.permissions import CurrentPrincipal, acting, require
from domain.errors import NotFound
from schemas.stock import (
    ChangeWarehouse,
    Movement,
    MovementPage,
    NewMovement,
    SetStockRules,
    SkuStock,
    Warehouse,
    WarehouseList,
)

router = APIRouter(tags=["stock"])
_MOVEMENTS = {
    "received": {
        "summary": "Goods have arrived",
        "value": {"kind": "received", "warehouse": "BER", "quantity": 40, "reason": "delivery note 4711"},
    },
    "adjusted": {
        "summary": "A count found less",
        "value": {"kind": "adjusted", "warehouse": "BER", "quantity": -2, "reason": "broken in the warehouse"},
    },
    "restocked": {
        "summary": "Goods came back from an order",
        "value": {
            "kind": "restocked",
            "warehouse": "BER",
            "quantity": 1,
            "order_id": "01999999-0000-7000-8000-000000000000",
        },
    },
}
_RULES = {
    "backorderable": {"summary": "May be sold before it has arrived", "value": {"backorderable": True}},
    "low": {"summary": "Warn when ten are left", "value": {"low_stock_at": 10}},
}


async def _plain_sku(sku: str) -> str:
    """No SKU of ours looks otherwise, so it need not be looked up."""
    if not sku.isascii() or len(sku) > 64:
        raise _no_such_sku()
    return sku


ThisSku = Annotated[str, Depends(_plain_sku)]


@router.get("/v1/warehouses", dependencies=[require("stock:read")], responses=problems(401, 403, 503))
def list_warehouses(stock: StockStore) -> WarehouseList:
    """The warehouses we ship from, the preferred one first."""
    return WarehouseList(items=stock.warehouses())


@router.patch(
    "/v1/warehouses/{code}", dependencies=[require("stock:move")], responses=problems(401, 403, 404, 422, 503)
)
def change_warehouse(code: str, body: ChangeWarehouse, stock: StockStore) -> Warehouse:
    """Set whether the warehouse's parcels wait until staff have confirmed what they have picked.

    It counts for orders placed from now on; a parcel that is planned already keeps what it was planned with.
    """
    if not code.isascii() or len(code) > 64:
        raise NotFound("There is no such warehouse.")
    return stock.change_warehouse(code, body)


@router.get("/v1/stock/{sku}", dependencies=[require("stock:read")], responses=problems(401, 403, 404, 503))
def read_stock(sku: ThisSku, stock: StockStore) -> SkuStock:
    """The stock of a SKU in each warehouse and in total, and the SKU's rules."""
    return _found(stock.overview(sku))


@router.patch("/v1/stock/{sku}", dependencies=[require("stock:move")], responses=problems(401, 403, 404, 422, 503))
def change_stock_rules(
    sku: ThisSku, body: Annotated[SetStockRules, Body(openapi_examples=_RULES)], stock: StockStore
) -> SkuStock:
    """Set whether the SKU may be backordered and when its stock counts as low; fields left out stay as they are."""
    stock.set_rules(sku, body)
    return _found(stock.overview(sku))


@router.get(
    "/v1/stock/{sku}/movements", dependencies=[require("stock:read")], responses=problems(401, 403, 404, 422, 503)
)
def list_stock_movements(
    sku: ThisSku,
    stock: StockStore,
    cursor: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> MovementPage:
    """The SKU's stock ledger, newest first: every movement with its actor and reason."""
    page = stock.movements(sku, cursor, limit)
    if not page.items:
        _found(stock.overview(sku))
    return page


@router.post(
    "/v1/stock/{sku}/movements",
    status_code=201,
    dependencies=[require("stock:move")],
    responses=problems(400, 401, 403, 404, 409, 422, 503),
)
async def post_stock_movement(
    sku: ThisSku,
    body: Annotated[NewMovement, Body(openapi_examples=_MOVEMENTS)],
    asker: CurrentPrincipal,
    key: IdempotencyKey,
    stock: StockStore,
    running: Running,
) -> Movement:
    """Record units that were received, restocked or counted. Backorders of the SKU are allocated first."""
    poster = Poster(acting(asker, "stock:move"), f"{asker.name}:{hashlib.sha256(key.encode()).hexdigest()}")
    posted = await run_in_threadpool(stock.post, sku, body, poster)
    await running.signal_allocations(posted.allocated)
    return posted.movement


def _found(overview: SkuStock | None) -> SkuStock:
    if overview is None:
        raise _no_such_sku()
    return overview


def _no_such_sku() -> NotFound:
    return NotFound("There is no such SKU.", errors=[{"pointer": "path/sku", "code": "unknown_sku"}])
