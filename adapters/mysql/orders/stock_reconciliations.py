"""Compares the stock ledger, balances and reservations, SKU by SKU, while orders go on.

A checkpoint is what a SKU's movements came to up to one of them, so that the next run adds up only what is new.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.clock import aware, naive, now
from adapters.mysql.tables.stock import (
    ACTIVE,
    reservation_lines,
    stock,
    stock_checkpoints,
    stock_movements,
    stock_reconciliations,
)
from domain.stock import EFFECTS
from schemas.stock_upkeep import Balance, Reconciliation, ReconciliationPage, StockDifference

PAGE = 1000  # SKUs
MOST_KEPT = 500
# Ids are given before a transaction commits; none lives nearly as long as this.
SETTLED_AFTER = timedelta(hours=1)


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
        while (checked := self._page(after, page, None)) is not None:
            yield checked
            after = checked.after

    def check_new(self, moment: datetime, after: str = "", page: int = PAGE) -> Iterator[Checked]:
        """The same, reading of the ledger only what came after each SKU's checkpoint.

        The checkpoints of SKUs that agree go on to the last movement that was there when the newest run of long before
        `moment` ended; of one that does not agree the whole evidence is read again next time.
        """
        settled = self._settled(moment)
        while (checked := self._page(after, page, settled)) is not None:
            yield checked
            after = checked.after

    def _page(self, after: str, limit: int, settled: int | None) -> Checked | None:
        snapshot = self._engine.connect().execution_options(isolation_level="REPEATABLE READ")
        with snapshot as connection, connection.begin():
            skus = _next_skus(connection, after, limit)
            if not skus:
                return None
            checkpoints = None if settled is None else _checkpoints(connection, skus)
            rows = connection.execute(_differences(skus, checkpoints)).all()
            differences = [_difference(row) for row in rows]
            levels = connection.scalar(
                sa.select(sa.func.count()).select_from(stock).where(stock.c.sku > after, stock.c.sku <= skus[-1])
            )
            moved = _moved_until(connection, checkpoints, settled, {one.sku for one in differences})
        self._advance(moved, settled)
        return Checked(skus[-1], levels or 0, differences)

    def _settled(self, moment: datetime) -> int:
        """The last movement of which this and all before it are there for good; 0 while no run is old enough."""
        query = (
            sa.select(stock_reconciliations.c.last_movement)
            .where(stock_reconciliations.c.finished_at < naive(moment - SETTLED_AFTER))
            .order_by(stock_reconciliations.c.id.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            return connection.scalar(query) or 0

    def _advance(self, moved: Sequence[sa.Row[Any]], settled: int | None) -> None:
        if moved:
            statement = mysql_insert(stock_checkpoints)
            new = {name: statement.inserted[name] for name in ("movement", "on_hand", "reserved")}
            values = [
                {
                    "sku": row.sku,
                    "warehouse": row.warehouse,
                    "movement": settled,
                    "on_hand": int(row.ledger_on_hand),
                    "reserved": int(row.ledger_reserved),
                }
                for row in moved
            ]
            with self._engine.begin() as connection:
                connection.execute(statement.on_duplicate_key_update(new), values)

    def levels(self) -> int:
        """The number of stock levels."""
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(stock)) or 0

    def keep(self, started_at: datetime, levels: int, found: int, differences: Sequence[StockDifference]) -> None:
        """Store a whole run with the first of its differences; a repeat of the same run writes the same row."""
        row = {
            "started_at": naive(started_at),
            "finished_at": now(),
            "last_movement": sa.select(sa.func.max(stock_movements.c.id)).scalar_subquery(),
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
Checkpoints = dict[int, list[str]]
"""SKUs by the last movement their checkpoint contains; 0 where there is none."""


def _checkpoints(connection: sa.Connection, skus: Sequence[str]) -> Checkpoints:
    query = sa.select(stock_checkpoints.c.sku, stock_checkpoints.c.movement).where(stock_checkpoints.c.sku.in_(skus))
    last = {row.sku: row.movement for row in connection.execute(query)}
    found: Checkpoints = defaultdict(list)
    for sku in skus:
        found[last.get(sku, 0)].append(sku)
    return found


def _differences(skus: Sequence[str], checkpoints: Checkpoints | None) -> sa.Select[Any]:
    allocated = reservation_lines.c.quantity - reservation_lines.c.backordered
    active = sa.and_(reservation_lines.c.sku.in_(skus), reservation_lines.c.state == ACTIVE)
    parts = [
        _part(stock, stock.c.sku.in_(skus), on_hand=stock.c.on_hand, reserved=stock.c.reserved),
        _part(reservation_lines, active, held=allocated),
        *_ledger(skus, checkpoints),
    ]
    query, sums = _by_level(parts)
    return query.having(
        sa.or_(
            sums["on_hand"] != sums["ledger_on_hand"],
            sums["reserved"] != sums["ledger_reserved"],
            sums["reserved"] != sums["held"],
        )
    )


def _moved_until(
    connection: sa.Connection, checkpoints: Checkpoints | None, settled: int | None, differing: set[str]
) -> Sequence[sa.Row[Any]]:
    """What the levels of SKUs with new settled movements came to; of those that differ nothing is remembered."""
    if checkpoints is None or not settled:
        return []
    new = sa.and_(_newer(checkpoints), stock_movements.c.id <= settled)
    moved = set(connection.scalars(sa.select(stock_movements.c.sku).distinct().where(new))) - differing
    if not moved:
        return []
    theirs = {last: kept for last, skus in checkpoints.items() if (kept := [sku for sku in skus if sku in moved])}
    query, _ = _by_level(_ledger(sorted(moved), theirs, settled))
    return connection.execute(query).all()


def _ledger(skus: Sequence[str], checkpoints: Checkpoints | None, until: int | None = None) -> Iterator[sa.Select[Any]]:
    """The movements of the SKUs; with checkpoints those, and what came later, until that movement."""
    quantity, kind = stock_movements.c.quantity, stock_movements.c.kind
    on_hand = sa.case({name: effect[0] * quantity for name, effect in EFFECTS.items()}, value=kind, else_=0)
    reserved = sa.case({name: effect[1] * quantity for name, effect in EFFECTS.items()}, value=kind, else_=0)
    which = stock_movements.c.sku.in_(skus) if checkpoints is None else _newer(checkpoints)
    if until is not None:
        which = sa.and_(which, stock_movements.c.id <= until)
    yield _part(stock_movements, which, ledger_on_hand=on_hand, ledger_reserved=reserved)
    if checkpoints is not None:
        kept = {"ledger_on_hand": stock_checkpoints.c.on_hand, "ledger_reserved": stock_checkpoints.c.reserved}
        yield _part(stock_checkpoints, stock_checkpoints.c.sku.in_(skus), **kept)


def _newer(checkpoints: Checkpoints) -> sa.ColumnElement[bool]:
    """By index: each SKU, and its movements after the last one its checkpoint contains."""
    return sa.or_(
        *(
            sa.and_(stock_movements.c.sku.in_(skus), stock_movements.c.id > last)
            for last, skus in sorted(checkpoints.items())
        )
    )


def _part(table: sa.Table, which: sa.ColumnElement[bool], **values: sa.ColumnElement[int]) -> sa.Select[Any]:
    columns = [values.get(name, sa.literal(0)).label(name) for name in _SUMS]
    return sa.select(table.c.sku, table.c.warehouse, *columns).where(which)


def _by_level(parts: Iterable[sa.Select[Any]]) -> tuple[sa.Select[Any], dict[str, sa.ColumnElement[int]]]:
    """The parts added up for each SKU and warehouse; and the sums, for a condition on them."""
    rows = sa.union_all(*parts).subquery()
    level = (rows.c.sku, rows.c.warehouse)
    sums: dict[str, sa.ColumnElement[int]] = {name: sa.func.sum(rows.c[name]) for name in _SUMS}
    columns = (total.label(name) for name, total in sums.items())
    return sa.select(*level, *columns).group_by(*level).order_by(*level), sums


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
