"""Stock, for staff."""

from fastapi import APIRouter

from api.deps import StockStore
from api.errors import problems
from api.permissions import require
from domain.errors import NotFound
from schemas.base import Payload
from schemas.inventory import StockLevel


class StockLevels(Payload):
    """Every warehouse that has, or had, the SKU."""

    items: list[StockLevel]
    next_cursor: str | None = None


router = APIRouter(prefix="/v1/stock", tags=["stock"])


@router.get("/{sku}", dependencies=[require("stock:read")], responses=problems(401, 403, 404, 503))
def read_stock(sku: str, stock: StockStore) -> StockLevels:
    """What each warehouse has of a SKU."""
    levels = stock.levels(sku) if sku.isascii() else []
    if not levels:
        raise NotFound("No warehouse has ever had this SKU.")
    return StockLevels(items=levels)
