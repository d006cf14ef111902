"""Orders for staff: found by whatever a caller on the phone can tell, those that need somebody first."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import OrdersFound, SearchPool
from api.errors import problems
from api.permissions import require
from schemas.order_search import FoundOrders, OrderQuery

router = APIRouter(prefix="/v1/ops/orders", tags=["operations"])


@router.get("", dependencies=[require("ops:orders")], responses=problems(401, 403, 422, 503))
async def search_orders(query: Annotated[OrderQuery, Query()], search: OrdersFound, threads: SearchPool) -> FoundOrders:
    """Search orders; the stuck ones come first. What is shown of each is read from MySQL, as it is now."""
    return await threads.ask(search.search, query)
