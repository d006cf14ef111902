"""Backorders: who waits for units of a SKU, and how units that become free are given to them.

A SKU that may be sold beyond what is there is held in part as backordered units, which count as reserved only once they
have arrived. Whoever frees units gives them to the oldest backorders first, in the same transaction.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import uuid_utils

from adapters.mysql.clock import now
from adapters.mysql.history import Change, LockedOrder, append
from adapters.mysql.orders.stock_ledger import Cause, Place, StockSheet
from adapters.mysql.tables.stock import reservation_lines, reservations
from adapters.mysql.transactions import TryAgain
from domain.actors import SYSTEM_ACTOR
from domain.events import EventType
from domain.stock import MovementKind
from schemas.stock import StockAllocated

ACTIVE = "active"


@dataclass(frozen=True)
class Line:
    """Units of a SKU that an order holds for one of its parcels."""

    order_id: str
    parcel: int
    sku: str
    warehouse: str
    quantity: int
    backordered: int

    @property
    def there(self) -> int:
        """Units that are really in the warehouse."""
        return self.quantity - self.backordered


_LINE = [reservation_lines.c[name] for name in Line.__dataclass_fields__]


def held(connection: sa.Connection, order_id: str, parcel: int | None = None) -> list[Line]:
    """What the order holds. It changes only under the lock of the order's row, so it is not locked itself."""
    query = sa.select(*_LINE).where(reservation_lines.c.order_id == order_id, reservation_lines.c.state == ACTIVE)
    if parcel is not None:
        query = query.where(reservation_lines.c.parcel == parcel)
    rows = connection.execute(query.order_by(reservation_lines.c.sku, reservation_lines.c.parcel))
    return [Line(*row) for row in rows]


def _waiting(connection: sa.Connection, sku: str, house: str, units: int, but: str | None = None) -> list[Line]:
    """The backorders that so many units would fill, the order that was placed first comes first."""
    if units < 1:
        return []
    rows = connection.execute(
        sa.select(*_LINE)
        .join(reservations, reservations.c.order_id == reservation_lines.c.order_id)
        .where(
            reservation_lines.c.sku == sku,
            reservation_lines.c.warehouse == house,
            reservation_lines.c.state == ACTIVE,
            reservation_lines.c.backordered > 0,
            reservation_lines.c.order_id != (but or ""),
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


def _fill(connection: sa.Connection, line: Line, units: int) -> None:
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
    lacking = {(line.order_id, line.parcel) for one in filled for line in held(connection, one) if line.backordered}
    return [StockAllocated(order_id=order_id, parcel=parcel) for order_id, parcel in sorted(touched - lacking)]


def orders_waiting(connection: sa.Connection, freed: Mapping[Place, int], but: str | None = None) -> set[str]:
    """The orders whose backorders so many units would fill: to be locked before the stock is. `but` gets in no line."""
    return {
        line.order_id for (sku, house), units in freed.items() for line in _waiting(connection, sku, house, units, but)
    }


def fill_backorders(
    connection: sa.Connection, sheet: StockSheet, orders: Mapping[str, LockedOrder], places: Collection[Place]
) -> list[StockAllocated]:
    """Give the units that are free at these places to the backorders there, oldest first, with an event per order.

    Answers the parcels that are complete now. Raises TryAgain when it is an order's turn that `orders`, all of them
    locked, does not hold: it was placed after they were looked up.
    """
    filled: dict[str, list[dict[str, object]]] = defaultdict(list)
    for sku, house in sorted(places):
        free = sheet.free(sku, house)
        for line in _waiting(connection, sku, house, free):
            if line.order_id not in orders:
                raise TryAgain(f"the order {line.order_id} has got in line")
            units = min(free, line.backordered)
            free -= units
            _fill(connection, line, units)
            sheet.move(
                MovementKind.RESERVED, (sku, house), units, Cause(SYSTEM_ACTOR, line.order_id, "backorder filled")
            )
            filled[line.order_id].append({"sku": sku, "quantity": units, "parcel": line.parcel})
    for order_id, lines in filled.items():
        left = sum(line.backordered for line in held(connection, order_id))
        change = Change(
            f"backorder:{uuid_utils.uuid7()}",
            EventType.ORDER_BACKORDER_ALLOCATED,
            SYSTEM_ACTOR,
            {"lines": lines, "backordered": left},
        )
        append(connection, orders[order_id], change)
    return _complete(connection, filled)
