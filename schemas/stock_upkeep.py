"""Scheduled work on stock: reservations expire, and levels are reconciled with the ledger."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from schemas.base import Payload


class ReservationsExpired(Payload):
    """The result of a run over overdue reservations; `running` are the first orders left to their running workflow."""

    released: int
    units: int
    running_count: int
    running: list[str]


class Balance(Payload):
    """A balance as the stock level has it, and as the sum of the ledger."""

    balance: int
    ledger: int


class StockDifference(Payload):
    """A SKU in one warehouse whose balances disagree, in units."""

    sku: str
    warehouse: str
    on_hand: Balance
    reserved: Balance
    held_by_orders: Annotated[int, Field(description="Units of open reservations; must equal `reserved`.")]


class ReconcileStock(Payload):
    """Reconcile everything; a run is identified by its start time."""

    started_at: datetime


class StockReconciled(Payload):
    """The result of a run."""

    levels_checked: int
    differences_found: int


class Reconciliation(Payload):
    """A run with its first differences."""

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
