"""Backorders: orders that wait for units of a SKU, and the allocation of units that become free.

A backorderable SKU may be sold beyond its stock: those units are backordered, and count as reserved only once they are
allocated. Whoever frees units allocates them to the oldest backorders first, in the same transaction.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import uuid_utils

from adapters.mysql.clock import now
from adapters.mysql.history import Change, LockedOrder, append
from adapters.mysql.orders.promises import promise_allocated
from adapters.mysql.orders.stock_ledger import Cause, Place, StockSheet
from adapters.mysql.tables.stock import ACTIVE, reservation_lines, reservations
from adapters.mysql.transactions import TryAgain
from domain.actors import SYSTEM_ACTOR
from domain.events import EventType
from domain.stock import MovementKind
from schemas.stock import StockAllocated


@dataclass(frozen=True)
class Line:
    """Units of a SKU that are reserved for one of an order's parcels."""

    order_id: str
    parcel: int
    sku: str
    warehouse: str
    quantity: int
    backordered: int

    @property
    def allocated(self) -> int:
        """Units that are in the warehouse."""
        return self.quantity - self.backordered

    def freed_by(self, units: int) -> int:
        """Units in the warehouse that become free without so many of the line: those on backorder go first."""
        return max(0, min(units, self.quantity) - self.backordered)


_LINE = [reservation_lines.c[name] for name in Line.__dataclass_fields__]


def active_lines(connection: sa.Connection, order_id: str, parcel: int | None = None) -> list[Line]:
    """The order's reserved lines, which change only under the lock of the order's row."""
    query = sa.select(*_LINE).where(reservation_lines.c.order_id == order_id, reservation_lines.c.state == ACTIVE)
    if parcel is not None:
        query = query.where(reservation_lines.c.parcel == parcel)
    rows = connection.execute(query.order_by(reservation_lines.c.sku, reservation_lines.c.parcel))
    return [Line(*row) for row in rows]


def _waiting(connection: sa.Connection, sku: str, warehouse: str, units: int, exclude: str | None = None) -> list[Line]:
    """The backorders that so many units would fill, the oldest order first."""
    if units < 1:
        return []
    rows = connection.execute(
        sa.select(*_LINE)
        .join(reservations, reservations.c.order_id == reservation_lines.c.order_id)
        .where(
            reservation_lines.c.sku == sku,
            reservation_lines.c.warehouse == warehouse,
            reservation_lines.c.state == ACTIVE,
            reservation_lines.c.backordered > 0,
            reservation_lines.c.order_id != (exclude or ""),
        )
        .order_by(reservations.c.created_at, reservations.c.order_id)
        .limit(units)
    )
    found: list[Line] = []
    for row in rows:
        if units <= sum(line.backordered for line in found):
            break
        found.append(Line(*row))
    return found


def _allocate(connection: sa.Connection, line: Line, units: int) -> None:
    connection.execute(
        sa.update(reservation_lines)
        .where(
            reservation_lines.c.order_id == line.order_id,
            reservation_lines.c.parcel == line.parcel,
            reservation_lines.c.sku == line.sku,
        )
        .values(backordered=reservation_lines.c.backordered - units, updated_at=now())
    )


def _complete(connection: sa.Connection, filled: Mapping[str, Any]) -> list[StockAllocated]:
    touched = {(order_id, line["parcel"]) for order_id, lines in filled.items() for line in lines}
    incomplete = {
        (line.order_id, line.parcel)
        for order_id in filled
        for line in active_lines(connection, order_id)
        if line.backordered
    }
    complete = [StockAllocated(order_id=order_id, parcel=parcel) for order_id, parcel in sorted(touched - incomplete)]
    promise_allocated(connection, complete)
    return complete


def orders_waiting(connection: sa.Connection, freed: Mapping[Place, int], exclude: str | None = None) -> set[str]:
    """The orders whose backorders so many units would fill: to be locked before the stock is. `exclude` gets none."""
    return {
        line.order_id
        for (sku, warehouse), units in freed.items()
        for line in _waiting(connection, sku, warehouse, units, exclude)
    }


def allocate_backorders(
    connection: sa.Connection, sheet: StockSheet, orders: Mapping[str, LockedOrder], places: Collection[Place]
) -> list[StockAllocated]:
    """Allocate the units that are free at these places to the backorders there, oldest first, with an event per order.

    Answers the parcels that are complete now. Raises TryAgain when units are due to an order that is not among the
    locked `orders`: it was placed after they were looked up.
    """
    filled: dict[str, list[dict[str, object]]] = defaultdict(list)
    for sku, warehouse in sorted(places):
        free = sheet.free(sku, warehouse)
        for line in _waiting(connection, sku, warehouse, free):
            if line.order_id not in orders:
                raise TryAgain(f"the order {line.order_id} was placed meanwhile")
            units = min(free, line.backordered)
            free -= units
            _allocate(connection, line, units)
            sheet.move(
                MovementKind.RESERVED,
                (sku, warehouse),
                units,
                Cause(SYSTEM_ACTOR, line.order_id, "backorder allocated"),
            )
            filled[line.order_id].append({"sku": sku, "quantity": units, "parcel": line.parcel})
    for order_id, lines in filled.items():
        left = sum(line.backordered for line in active_lines(connection, order_id))
        change = Change(
            f"backorder:{uuid_utils.uuid7()}",
            EventType.ORDER_BACKORDER_ALLOCATED,
            SYSTEM_ACTOR,
            {"lines": lines, "backordered": left},
        )
        append(connection, orders[order_id], change)
    return _complete(connection, filled)
