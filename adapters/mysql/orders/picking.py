"""Picking: what staff took from their shelves for a parcel, what was missing there, and which parcels wait for it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import aware, now
from adapters.mysql.history import Change, append, lock_order
from adapters.mysql.orders.backorders import active_lines
from adapters.mysql.orders.order_rows import parcel_row, this_parcel
from adapters.mysql.orders.promises import WAITING_FOR_GOODS
from adapters.mysql.orders.reservations import write_off
from adapters.mysql.orders.stock_ledger import Cause, stock_sheet
from adapters.mysql.tables.orders import order_lines, orders, parcels
from adapters.mysql.transactions import in_transaction
from domain.errors import AlreadyPicked, IllegalMove
from domain.events import EventType
from domain.fulfilment import ParcelStatus
from domain.orders import OrderStatus
from domain.parcels import SHORT_PICK, check_pick
from schemas.picking import LineWaiting, ParcelPicked, ParcelWaiting, PickList, RecordPick

Place = tuple[int, int]  # number of the order, and of the parcel
_GOES_ON = (OrderStatus.CONFIRMED, OrderStatus.PROCESSING)
_WITHOUT_BOOKING = sorted(status for status in ParcelStatus if status.is_without_booking)


class Picks:
    """The picks of parcels whose warehouse asks for them."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def record(self, command: RecordPick) -> ParcelPicked:
        """Record what was picked; what was missing is neither reserved nor on hand any more. A repeat changes nothing.

        Raises NotFound; PickMismatch for other contents than the parcel has; AlreadyPicked for another pick before; and
        IllegalMove for a parcel that is booked, or stopped.
        """
        return in_transaction(self._engine, lambda connection: _record(connection, command))

    def get(self, order_id: str, number: int) -> ParcelPicked | None:
        """What was picked of the parcel; None when it was not. Raises NotFound."""
        with self._engine.connect() as connection:
            return _picked(parcel_row(connection, order_id, number))

    def waiting(self, after: Place | None, limit: int, warehouse: str | None = None) -> PickList:
        """The parcels that wait for their pick, those of the oldest order first.

        An order that is on hold, awaits its payment, or is being cancelled has none.
        """
        place = orders.c.number, parcels.c.number.label("parcel")
        query: sa.Select[Any] = (
            sa.select(*place, orders.c.id, orders.c.created_at, parcels.c.warehouse, parcels.c.lines)
            .join(parcels, parcels.c.order_id == orders.c.id)
            .where(parcels.c.pick_required, parcels.c.status.in_(_WITHOUT_BOOKING), parcels.c.picked.is_(None))
            .where(orders.c.status.in_(_GOES_ON), sa.not_(WAITING_FOR_GOODS))
        )
        if warehouse is not None:
            query = query.where(parcels.c.warehouse == warehouse)
        if after is not None:
            query = query.where(sa.tuple_(orders.c.number, parcels.c.number) > sa.tuple_(*after))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(orders.c.number, parcels.c.number).limit(limit + 1)).all()
            items = _waiting(connection, rows[:limit])
        last = items[-1] if len(rows) > limit else None
        return PickList(items=items, next_cursor=f"{last.order_number}-{last.parcel}" if last else None)


def _record(connection: sa.Connection, command: RecordPick) -> ParcelPicked:
    order_id, number = command.order_id, command.number
    order = lock_order(connection, order_id)
    row = parcel_row(connection, order_id, number)
    if (before := _picked(row)) is not None:
        if before.units != command.units:
            raise AlreadyPicked(f"Another pick of parcel {number} is recorded already.")
        return before
    if not ParcelStatus(row.status).is_without_booking:
        raise IllegalMove(f"Parcel {number} is {row.status} and waits for no pick.", parcel=number, current=row.status)
    contents = {line["sku"]: line["quantity"] for line in row.lines}
    check_pick(contents, command.units)
    picked = ParcelPicked.of(contents, command.units)
    this = this_parcel(order_id, number)
    connection.execute(sa.update(parcels).where(this).values(picked=picked.model_dump(), updated_at=now()))
    data = {"parcel": number, **picked.model_dump(exclude_defaults=True)}
    change = Change(f"pick-{number}", EventType.PARCEL_PICKED, command.actor, data)
    missing = {line.sku: line.quantity for line in picked.missing}
    with stock_sheet(connection, missing) as sheet:
        lines = [line for line in active_lines(connection, order_id, number) if line.sku in missing]
        write_off(connection, sheet, lines, missing, Cause(command.actor, order_id, SHORT_PICK))
        append(connection, order, change)
    return picked


def _picked(row: sa.Row[Any]) -> ParcelPicked | None:
    return ParcelPicked.model_validate(row.picked) if row.picked is not None else None


def _waiting(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> list[ParcelWaiting]:
    names: dict[str, dict[str, str]] = defaultdict(dict)
    query = sa.select(order_lines.c.order_id, order_lines.c.sku, order_lines.c.name)
    for line in connection.execute(query.where(order_lines.c.order_id.in_({row.id for row in rows}))):
        names[line.order_id][line.sku] = line.name
    return [
        ParcelWaiting(
            order_id=row.id,
            order_number=row.number,
            parcel=row.parcel,
            warehouse=row.warehouse,
            placed_at=aware(row.created_at),
            lines=[
                LineWaiting(sku=line["sku"], name=names[row.id][line["sku"]], quantity=line["quantity"])
                for line in row.lines
            ],
        )
        for row in rows
    ]
