"""Stock: on hand and reserved per SKU and warehouse, every change with a ledger row in the same transaction."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.history import Change, append, lock_order, now, recorded
from adapters.mysql.tables import reservations, stock, stock_movements, warehouses
from domain.errors import InvalidRequest, NotFound
from domain.fulfilment import Allocation, Demand, allocate
from schemas.inventory import ReleaseStock, StockLevel, StockReleased

ACTIVE, RELEASED, SHIPPED = "active", "released", "shipped"


class Stock:
    """What can be sold, what is promised, and what was received."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def ensure_warehouses(self, houses: Sequence[tuple[str, str, str, int]]) -> None:
        """Make these warehouses known: code, name, country, preference (the lowest ships first)."""
        with self._engine.begin() as connection:
            for code, name, country, preference in houses:
                statement = mysql_insert(warehouses).values(
                    code=code, name=name, country=country, preference=preference
                )
                connection.execute(statement.on_duplicate_key_update(name=name, country=country, preference=preference))

    def receive(self, lines: Sequence[tuple[str, str, int]], actor: str, reason: str) -> None:
        """Add units that arrived: (SKU, warehouse, quantity ≥ 1) each. Not repeat-safe: a delivery arrives once."""
        if any(quantity < 1 for _, _, quantity in lines):
            raise InvalidRequest("A delivery has at least one unit of each SKU.")
        ordered = sorted(lines)
        with self._engine.begin() as connection:
            statement = mysql_insert(stock).values(
                [{"sku": sku, "warehouse": house, "on_hand": quantity} for sku, house, quantity in ordered]
            )
            connection.execute(statement.on_duplicate_key_update(on_hand=stock.c.on_hand + statement.inserted.on_hand))
            write_movements(connection, "received", ordered, None, actor, reason)

    def levels(self, sku: str) -> list[StockLevel]:
        """The stock of one SKU, a row per warehouse."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(stock).where(stock.c.sku == sku).order_by(stock.c.warehouse))
            return [
                StockLevel(
                    sku=row.sku,
                    warehouse=row.warehouse,
                    on_hand=row.on_hand,
                    reserved=row.reserved,
                    available=row.on_hand - row.reserved,
                )
                for row in rows
            ]

    def available(self, skus: Iterable[str]) -> dict[str, int]:
        """Units that can be sold now, over all warehouses; a SKU without stock rows is 0."""
        wanted = list(skus)
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(stock.c.sku, sa.func.sum(stock.c.on_hand - stock.c.reserved))
                .where(stock.c.sku.in_(wanted))
                .group_by(stock.c.sku)
            )
            found = {sku: int(units) for sku, units in rows}
        return {sku: found.get(sku, 0) for sku in wanted}

    def release(self, command: ReleaseStock) -> StockReleased:
        """Give back what the order still holds, with one event; a repeat finds nothing left to give back.

        An order that was never recorded holds nothing, because it is recorded together with its stock.
        """
        with self._engine.begin() as connection:
            try:
                order = lock_order(connection, command.order_id)
            except NotFound:
                return StockReleased(units=0)
            held = _held(connection, command.order_id)
            units = sum(quantity for _, _, quantity in held)
            if not held or recorded(connection, command.order_id, "release-stock"):
                return StockReleased(units=0)
            _settle(connection, command.order_id, held, RELEASED)
            write_movements(connection, RELEASED, held, command.order_id, command.actor, command.reason)
            change = Change(
                "release-stock",
                "order.stock_released",
                command.actor,
                {"units": units, "reason": command.reason},
            )
            append(connection, order, change)
            return StockReleased(units=units)


def warehouse_countries(connection: sa.Connection) -> dict[str, str]:
    """Every warehouse with the country it stands in, the preferred one first."""
    rows = connection.execute(sa.select(warehouses.c.code, warehouses.c.country).order_by(warehouses.c.preference))
    return {row.code: row.country for row in rows}


def reserve(
    connection: sa.Connection, order_id: str, demands: Sequence[Demand], houses: Sequence[str], actor: str
) -> list[Allocation]:
    """Reserve everything or raise OutOfStock; `houses` in order of preference.

    Rows are locked in key order, so two orders cannot deadlock.
    """
    skus = sorted({demand.sku for demand in demands})
    rows = connection.execute(
        sa.select(stock.c.sku, stock.c.warehouse, stock.c.on_hand, stock.c.reserved)
        .where(stock.c.sku.in_(skus))
        .order_by(stock.c.sku, stock.c.warehouse)
        .with_for_update()
    ).all()
    available: dict[str, dict[str, int]] = {house: {} for house in houses}
    for row in rows:
        available[row.warehouse][row.sku] = row.on_hand - row.reserved
    allocations = allocate(demands, available)
    taken = sorted((a.sku, a.warehouse, a.quantity) for a in allocations)
    moment = now()
    connection.execute(
        sa.insert(reservations),
        [
            {
                "order_id": order_id,
                "sku": sku,
                "warehouse": house,
                "quantity": quantity,
                "state": ACTIVE,
                "created_at": moment,
                "updated_at": moment,
            }
            for sku, house, quantity in taken
        ],
    )
    for sku, house, quantity in taken:
        _change(connection, sku, house, reserved=stock.c.reserved + quantity)
    write_movements(connection, "reserved", taken, order_id, actor, None)
    return allocations


def ship(connection: sa.Connection, order_id: str, warehouse: str, actor: str) -> None:
    """The goods of the order have left this warehouse: what was reserved there is no longer on hand."""
    held = [line for line in _held(connection, order_id) if line[1] == warehouse]
    _settle(connection, order_id, held, SHIPPED)
    write_movements(connection, SHIPPED, held, order_id, actor, None)


def write_movements(
    connection: sa.Connection,
    kind: str,
    lines: Sequence[tuple[str, str, int]],
    order_id: str | None,
    actor: str,
    reason: str | None,
) -> None:
    """Append one ledger row per line: what kind of change, how many units, for whom and why."""
    if not lines:
        return
    moment = now()
    rows: list[dict[str, Any]] = [
        {
            "sku": sku,
            "warehouse": house,
            "kind": kind,
            "quantity": quantity,
            "order_id": order_id,
            "reason": reason,
            "actor": actor,
            "occurred_at": moment,
        }
        for sku, house, quantity in lines
    ]
    connection.execute(sa.insert(stock_movements), rows)


def _held(connection: sa.Connection, order_id: str) -> list[tuple[str, str, int]]:
    rows = connection.execute(
        sa.select(reservations.c.sku, reservations.c.warehouse, reservations.c.quantity)
        .where(reservations.c.order_id == order_id, reservations.c.state == ACTIVE)
        .order_by(reservations.c.sku, reservations.c.warehouse)
        .with_for_update()
    )
    return [(row.sku, row.warehouse, row.quantity) for row in rows]


def _settle(connection: sa.Connection, order_id: str, held: Sequence[tuple[str, str, int]], state: str) -> None:
    for sku, house, quantity in held:
        values = {"reserved": stock.c.reserved - quantity}
        if state == SHIPPED:
            values["on_hand"] = stock.c.on_hand - quantity
        _change(connection, sku, house, **values)
        connection.execute(
            sa.update(reservations)
            .where(
                reservations.c.order_id == order_id,
                reservations.c.sku == sku,
                reservations.c.warehouse == house,
            )
            .values(state=state, updated_at=now())
        )


def _change(connection: sa.Connection, sku: str, house: str, **values: sa.ColumnElement[int]) -> None:
    connection.execute(sa.update(stock).where(stock.c.sku == sku, stock.c.warehouse == house).values(**values))
