"""Whether the books of stock agree, for staff."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from adapters.mysql.stock_reconciliations import StockReconciliations
from api.deps import AppConnections
from api.errors import problems
from api.permissions import require
from schemas.stock_upkeep import ReconciliationPage

router = APIRouter(prefix="/v1/ops/reconciliation", tags=["operations"])


def _reconciliations(connections: AppConnections) -> StockReconciliations:
    return StockReconciliations(connections.engine)


@router.get("", dependencies=[require("ops:reconcile")], responses=problems(401, 403, 422, 503))
def list_reconciliations(
    runs: Annotated[StockReconciliations, Depends(_reconciliations)],
    cursor: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> ReconciliationPage:
    """The hourly comparisons of ledger, balances and reservations, newest first, with what they found."""
    return runs.page(cursor, limit)
