"""The rows of an order's lines and parcels."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from adapters.mysql.tables.orders import order_lines, parcels
from adapters.mysql.tables.stock import warehouses
from domain.errors import NotFound
from domain.fulfilment import ParcelStatus
from domain.replacements import ParcelState

# What `views.parcel_plan` reads.
PLANNED_PARCELS = sa.select(parcels, warehouses.c.country).join(warehouses, warehouses.c.code == parcels.c.warehouse)


def line_rows(connection: sa.Connection, order_id: str) -> Sequence[sa.Row[Any]]:
    """The order's lines, as they were ordered."""
    query = sa.select(order_lines).where(order_lines.c.order_id == order_id)
    return connection.execute(query.order_by(order_lines.c.position)).all()


def planned_parcels(connection: sa.Connection, order_id: str) -> Sequence[sa.Row[Any]]:
    """The order's parcels by number, each with the country it leaves from."""
    return connection.execute(PLANNED_PARCELS.where(parcels.c.order_id == order_id).order_by(parcels.c.number)).all()


def this_parcel(order_id: str, number: int) -> sa.ColumnElement[bool]:
    """The one of this order and number."""
    return sa.and_(parcels.c.order_id == order_id, parcels.c.number == number)


def parcel_row(connection: sa.Connection, order_id: str, number: int) -> sa.Row[Any]:
    """The parcel, with the country it leaves from; raises NotFound."""
    row = connection.execute(PLANNED_PARCELS.where(this_parcel(order_id, number))).one_or_none()
    if row is None:
        raise NotFound(f"The order has no parcel {number}.")
    return row


def parcel_states(rows: Iterable[sa.Row[Any]]) -> list[ParcelState]:
    """What is known of the parcels of these rows."""
    return [ParcelState(row.number, ParcelStatus(row.status), row.replaces) for row in rows]
