"""Compares the stock ledger, balances and reservations, SKU by SKU, while orders go on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.clock import aware, naive, now
from adapters.mysql.tables.stock import ACTIVE, reservation_lines, stock, stock_movements, stock_reconciliations
from domain.stock import EFFECTS
from schemas.stock_upkeep import Balance, Reconciliation, ReconciliationPage, StockDifference

PAGE = 1000  # SKUs
MOST_KEPT = 500


@dataclass(frozen=True)
class Checked:
    """One page: its last SKU, how many levels it had, and the differences found."""

    after: str
    levels: int
    differences: list[StockDifference]


class StockReconciliations:
    """Compares stock, and stores what was found."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def check(self, after: str = "", page: int = PAGE) -> Iterator[Checked]:
        """Compare everything after a SKU, page by page; each page is seen as it was at one moment.

        on hand = received + restocked + adjusted - shipped, reserved = reserved - released - shipped, both by the
        ledger; and reserved = the allocated units of open reservations.
        """
        while (checked := self._page(after, page)) is not None:
            yield checked
            after = checked.after

    def _page(self, after: str, limit: int) -> Checked | None:
        snapshot = self._engine.connect().execution_options(isolation_level="REPEATABLE READ")
        with snapshot as connection, connection.begin():
            skus = _next_skus(connection, after, limit)
            if not skus:
                return None
            rows = connection.execute(_differences(after, skus[-1])).all()
            levels = connection.scalar(
                sa.select(sa.func.count()).select_from(stock).where(stock.c.sku > after, stock.c.sku <= skus[-1])
            )
        return Checked(skus[-1], levels or 0, [_difference(row) for row in rows])

    def levels(self) -> int:
        """The number of stock levels."""
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(stock)) or 0

    def keep(self, started_at: datetime, levels: int, found: int, differences: Sequence[StockDifference]) -> None:
        """Store a whole run with the first of its differences; a repeat of the same run writes the same row."""
        row = {
            "started_at": naive(started_at),
            "finished_at": now(),
            "levels_checked": levels,
            "differences_found": found,
            "differences": [difference.model_dump(mode="json") for difference in differences[:MOST_KEPT]],
        }
        statement = mysql_insert(stock_reconciliations).values(row)
        with self._engine.begin() as connection:
            connection.execute(statement.on_duplicate_key_update(row))

    def page(self, before_id: int | None, limit: int) -> ReconciliationPage:
        """The runs, newest first; `next_cursor` is the id to continue before."""
        query = sa.select(stock_reconciliations)
        if before_id is not None:
            query = query.where(stock_reconciliations.c.id < before_id)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(stock_reconciliations.c.id.desc()).limit(limit + 1)).all()
        cursor = str(rows[limit - 1].id) if len(rows) > limit else None
        return ReconciliationPage(items=[_run(row) for row in rows[:limit]], next_cursor=cursor)


def _next_skus(connection: sa.Connection, after: str, limit: int) -> Sequence[str]:
    """From all three tables, because a SKU that one of them lacks is a difference too."""
    pages = [
        sa.select(table.c.sku).distinct().where(table.c.sku > after).order_by(table.c.sku).limit(limit).subquery()
        for table in (stock, stock_movements, reservation_lines)
    ]
    together = sa.union(*(sa.select(page.c.sku) for page in pages)).subquery()
    return connection.scalars(sa.select(together.c.sku).order_by(together.c.sku).limit(limit)).all()


_SUMS = ("on_hand", "reserved", "ledger_on_hand", "ledger_reserved", "held")


def _differences(after: str, last: str) -> sa.Select[Any]:
    quantity, kind = stock_movements.c.quantity, stock_movements.c.kind
    on_hand = sa.case({name: effect[0] * quantity for name, effect in EFFECTS.items()}, value=kind, else_=0)
    reserved = sa.case({name: effect[1] * quantity for name, effect in EFFECTS.items()}, value=kind, else_=0)
    allocated = sa.case(
        (
            reservation_lines.c.state == ACTIVE,
            reservation_lines.c.quantity - reservation_lines.c.backordered,
        ),
        else_=0,
    )
    parts = [
        _part(stock, after, last, on_hand=stock.c.on_hand, reserved=stock.c.reserved),
        _part(stock_movements, after, last, ledger_on_hand=on_hand, ledger_reserved=reserved),
        _part(reservation_lines, after, last, held=allocated),
    ]
    rows = sa.union_all(*parts).subquery()
    sums = {name: sa.func.sum(rows.c[name]) for name in _SUMS}
    return (
        sa.select(rows.c.sku, rows.c.warehouse, *(total.label(name) for name, total in sums.items()))
        .group_by(rows.c.sku, rows.c.warehouse)
        .having(
            sa.or_(
                sums["on_hand"] != sums["ledger_on_hand"],
                sums["reserved"] != sums["ledger_reserved"],
                sums["reserved"] != sums["held"],
            )
        )
        .order_by(rows.c.sku, rows.c.warehouse)
    )


def _part(table: sa.Table, after: str, last: str, **values: sa.ColumnElement[int]) -> sa.Select[Any]:
    columns = [values.get(name, sa.literal(0)).label(name) for name in _SUMS]
    return sa.select(table.c.sku, table.c.warehouse, *columns).where(table.c.sku > after, table.c.sku <= last)


def _difference(row: sa.Row[Any]) -> StockDifference:
    return StockDifference(
        sku=row.sku,
        warehouse=row.warehouse,
        on_hand=Balance(balance=int(row.on_hand), ledger=int(row.ledger_on_hand)),
        reserved=Balance(balance=int(row.reserved), ledger=int(row.ledger_reserved)),
        held_by_orders=int(row.held),
    )


def _run(row: sa.Row[Any]) -> Reconciliation:
    return Reconciliation(
        id=row.id,
        started_at=aware(row.started_at),
        finished_at=aware(row.finished_at),
        levels_checked=row.levels_checked,
        differences_found=row.differences_found,
        differences=[StockDifference.model_validate(one) for one in row.differences],
    )
