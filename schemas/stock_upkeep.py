"""What is done to stock by the clock: reservations expire, and the books are checked against each other."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from schemas.base import Payload


class ReservationsExpired(Payload):
    """What one look at overdue reservations did; `running` are the first orders left to a workflow that still runs."""

    released: int
    units: int
    running_count: int
    running: list[str]


class Balance(Payload):
    """A sum as the level has it, and as the ledger adds up to."""

    balance: int
    ledger: int


class StockDifference(Payload):
    """One SKU in one warehouse of which the books disagree, in units."""

    sku: str
    warehouse: str
    on_hand: Balance
    reserved: Balance
    held_by_orders: Annotated[int, Field(description="What open reservations hold; must equal what is reserved.")]


class ReconcileStock(Payload):
    """Check everything; the run is known by when it began."""

    started_at: datetime


class StockReconciled(Payload):
    """What a run found."""

    levels_checked: int
    differences_found: int


class Reconciliation(Payload):
    """One run; `differences` are the first of those found."""

    id: int
    started_at: datetime
    finished_at: datetime
    levels_checked: int
    differences_found: int
    differences: list[StockDifference]


class ReconciliationPage(Payload):
    """`GET /v1/ops/reconciliation`: a keyset page, newest first."""

    items: list[Reconciliation]
    next_cursor: str | None = None
