"""Order search for staff."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import OrdersFound, SearchPool
from api.errors import problems
from api.permissions import require
from schemas.order_search import FoundOrders, OrderQuery

router = APIRouter(prefix="/v1/ops/orders", tags=["operations"])


@router.get("", dependencies=[require("ops:orders")], responses=problems(401, 403, 422, 503))
async def search_orders(query: Annotated[OrderQuery, Query()], search: OrdersFound, threads: SearchPool) -> FoundOrders:
    """Search orders; those that need an operator come first. Each order is shown as MySQL has it now."""
    return await threads.ask(search.search, query)
