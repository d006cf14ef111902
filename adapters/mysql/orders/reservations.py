"""Reservations: stock reserved for an order, parcel by parcel, until it is dispatched, released, or expires."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from adapters.mysql.clock import now
from adapters.mysql.history import Change, append, lock_orders
from adapters.mysql.orders.backorders import Line, active_lines, allocate_backorders, orders_waiting
from adapters.mysql.orders.stock_ledger import Cause, Place, StockSheet, stock_sheet
from adapters.mysql.orders.vouchers import release_use
from adapters.mysql.tables.stock import ACTIVE, reservation_lines, reservations
from adapters.mysql.transactions import in_transaction
from domain.actors import SYSTEM_ACTOR
from domain.errors import NotFound, UnknownReservation
from domain.events import EventType
from domain.stock import MovementKind
from schemas.parcels import ParcelPlan
from schemas.stock import ReleaseStock, StockReleased

RELEASED, SHIPPED = "released", "shipped"
RESERVED_FOR = timedelta(hours=48)


@dataclass(frozen=True)
class Overdue:
    """A reservation past its expiry, and where the next page begins."""

    order_id: str
    expires_at: datetime


class Reservations:
    """The reservations of orders; each is known by its order's id."""

    def __init__(self, engine: sa.Engine, reserved_for: timedelta = RESERVED_FOR) -> None:
        self._engine = engine
        self._reserved_for = reserved_for

    def release(self, command: ReleaseStock) -> StockReleased:
        """Release what is still reserved for the order, and its voucher, with one event; a repeat finds nothing left.

        Of an order that keeps other parcels, those of the command alone are released, and it keeps its voucher.
        Raises UnknownReservation for an order that never had a reservation.
        """
        step, data = "release-stock", dict[str, object](reason=command.reason)
        if command.parcels is not None:
            step = f"{step}-{'-'.join(map(str, sorted(command.parcels)))}"
            data["parcels"] = sorted(command.parcels)
        change = Change(step, EventType.ORDER_STOCK_RELEASED, command.actor, data)
        released = in_transaction(
            self._engine, lambda connection: _release(connection, command.order_id, change, parcels=command.parcels)
        )
        assert released is not None
        return released

    def expire(self, order_id: str) -> StockReleased | None:
        """The same for a reservation past its expiry; None when it was extended, or ended, in the meantime."""
        reason = "the reservation has expired and no workflow of the order is running"
        change = Change("expire-reservation", EventType.ORDER_RESERVATION_EXPIRED, SYSTEM_ACTOR, {"reason": reason})
        return in_transaction(self._engine, lambda connection: _release(connection, order_id, change, if_overdue=True))

    def extend(self, order_id: str) -> timedelta:
        """Extend the reservation from now on, and answer for how long; zero when nothing is reserved any more.

        Raises UnknownReservation for an order that never had a reservation.
        """
        moment = now()
        this = reservations.c.order_id == order_id
        until = sa.func.greatest(reservations.c.expires_at, moment + self._reserved_for)
        with self._engine.begin() as connection:
            extended = connection.execute(
                sa.update(reservations).where(this, reservations.c.open).values(expires_at=until, updated_at=moment)
            )
            if extended.rowcount:
                return self._reserved_for
            if connection.scalar(sa.select(sa.func.count()).where(this)) == 0:
                raise _unknown(order_id)
        return timedelta(0)

    def overdue(self, after: Overdue | None, limit: int) -> list[Overdue]:
        """The next reservations past their expiry, the longest overdue first."""
        mark = reservations.c.expires_at, reservations.c.order_id
        query = sa.select(*mark).where(reservations.c.open, reservations.c.expires_at < now())
        if after is not None:
            query = query.where(sa.tuple_(*mark) > sa.tuple_(sa.literal(after.expires_at), sa.literal(after.order_id)))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(*mark).limit(limit))
            return [Overdue(row.order_id, row.expires_at) for row in rows]

    def missing(self, order_id: str, parcel: int) -> int:
        """Units still to be allocated to the parcel; raises UnknownReservation if nothing is reserved for it."""
        with self._engine.connect() as connection:
            lines = active_lines(connection, order_id, parcel)
        if not lines:
            raise _unknown(order_id, parcel)
        return sum(line.backordered for line in lines)

    def parcels(self, order_id: str) -> list[int]:
        """The parcels for which something is still reserved."""
        with self._engine.connect() as connection:
            return sorted({line.parcel for line in active_lines(connection, order_id)})


def reserve_parcels(
    connection: sa.Connection, sheet: StockSheet, order_id: str, plans: Sequence[ParcelPlan], reserved_for: timedelta
) -> None:
    """Reserve what the plans say, which the sheet must have; backordered units wait for their allocation."""
    moment = now()
    connection.execute(
        sa.insert(reservations).values(
            order_id=order_id, expires_at=moment + reserved_for, open=True, created_at=moment, updated_at=moment
        )
    )
    _reserve_lines(connection, sheet, order_id, plans)


def reserve_another(
    connection: sa.Connection, sheet: StockSheet, order_id: str, plan: ParcelPlan, reserved_for: timedelta
) -> None:
    """The same for one more parcel of an order that has had its reservation; the caller holds the order's lock."""
    moment = now()
    until = sa.func.greatest(reservations.c.expires_at, moment + reserved_for)
    this = reservations.c.order_id == order_id
    connection.execute(sa.update(reservations).where(this).values(expires_at=until, open=True, updated_at=moment))
    _reserve_lines(connection, sheet, order_id, [plan])


def _reserve_lines(connection: sa.Connection, sheet: StockSheet, order_id: str, plans: Sequence[ParcelPlan]) -> None:
    rows = [
        {"parcel": plan.number, "warehouse": plan.warehouse, **line.model_dump()}
        for plan in plans
        for line in plan.lines
    ]
    same = {"order_id": order_id, "state": ACTIVE, "updated_at": now()}
    connection.execute(sa.insert(reservation_lines), [row | same for row in rows])
    for row in rows:
        allocated = row["quantity"] - row["backordered"]
        sheet.move(MovementKind.RESERVED, (row["sku"], row["warehouse"]), allocated, Cause(SYSTEM_ACTOR, order_id))


def drop(connection: sa.Connection, sheet: StockSheet, lines: Sequence[Line], cause: Cause) -> None:
    """Release these lines of an order that keeps others; the caller holds the order's lock."""
    for line in lines:
        release_units(connection, sheet, line, line.quantity, cause)


def release_units(connection: sa.Connection, sheet: StockSheet, line: Line, units: int, cause: Cause) -> int:
    """Release some units of a line, those on backorder first; the caller holds the order's lock. Answers how many of
    them were in stock.
    """
    units, freed = min(units, line.quantity), line.freed_by(units)
    columns = reservation_lines.c
    this = sa.and_(columns.order_id == line.order_id, columns.parcel == line.parcel, columns.sku == line.sku)
    left = {"quantity": line.quantity - units, "backordered": line.backordered - (units - freed)}
    values = left if left["quantity"] else {"state": RELEASED}
    connection.execute(sa.update(reservation_lines).where(this).values(**values, updated_at=now()))
    sheet.move(MovementKind.RELEASED, (line.sku, line.warehouse), freed, cause)
    return freed


def write_off(
    connection: sa.Connection, sheet: StockSheet, lines: Sequence[Line], missing: Mapping[str, int], cause: Cause
) -> None:
    """Release units by SKU that are not in their warehouse, and take them off the stock on hand in the same step, so
    that nobody can buy them. The caller holds the order's lock.
    """
    for line in lines:
        freed = release_units(connection, sheet, line, missing[line.sku], cause)
        sheet.move(MovementKind.ADJUSTED, (line.sku, line.warehouse), -freed, cause)
    if lines:
        _close_if_empty(connection, lines[0].order_id)


def ship(connection: sa.Connection, order_id: str, parcel: int, actor: str) -> None:
    """Take the units of a dispatched parcel off the stock on hand. The caller holds the order's lock.

    Raises UnknownReservation when nothing is reserved for it, or not all of it is allocated: what is allocated is then
    taken off, and the rest waits no more, for a caller that records the dispatch all the same.
    """
    lines = active_lines(connection, order_id, parcel)
    if not lines:
        raise _unknown(order_id, parcel)
    missing = [line for line in lines if line.backordered]
    with stock_sheet(connection, {line.sku for line in lines}) as sheet:
        for line in missing:
            cause = Cause(actor, order_id, "dispatched before it was allocated")
            release_units(connection, sheet, line, line.backordered, cause)
        _end(connection, order_id, SHIPPED, [parcel])
        for line in lines:
            sheet.move(MovementKind.SHIPPED, (line.sku, line.warehouse), line.allocated, Cause(actor, order_id))
    if missing:
        raise _unknown(order_id, parcel)


def _release(
    connection: sa.Connection,
    order_id: str,
    change: Change,
    *,
    parcels: Sequence[int] | None = None,
    if_overdue: bool = False,
) -> StockReleased | None:
    freed = Counter[Place]()
    for line in _reserved(connection, order_id, parcels):
        freed[line.sku, line.warehouse] += line.allocated
    try:
        orders = lock_orders(connection, {order_id, *orders_waiting(connection, freed, exclude=order_id)})
    except NotFound:
        raise _unknown(order_id) from None
    if if_overdue and not _is_overdue(connection, order_id):
        return None
    lines = _reserved(connection, order_id, parcels)
    if parcels is None:
        release_use(connection, order_id)
    if not lines:
        return StockReleased(units=0)
    _end(connection, order_id, RELEASED, parcels)
    cause = Cause(change.actor, order_id, str(change.data["reason"]))
    units, waited = sum(line.allocated for line in lines), sum(line.backordered for line in lines)
    with stock_sheet(connection, {line.sku for line in lines}) as sheet:
        for line in lines:
            sheet.move(MovementKind.RELEASED, (line.sku, line.warehouse), line.allocated, cause)
        data = {**change.data, "units": units, **({"backordered": waited} if waited else {})}
        append(connection, orders[order_id], Change(change.step, change.type, change.actor, data))
        allocated = allocate_backorders(connection, sheet, orders, {(line.sku, line.warehouse) for line in lines})
    return StockReleased(units=units, allocated=allocated)


def _reserved(connection: sa.Connection, order_id: str, parcels: Sequence[int] | None) -> list[Line]:
    return [line for line in active_lines(connection, order_id) if parcels is None or line.parcel in parcels]


def _end(connection: sa.Connection, order_id: str, state: str, parcels: Sequence[int] | None = None) -> None:
    moment, lines = now(), reservation_lines.c
    these = sa.and_(lines.order_id == order_id, lines.state == ACTIVE)
    if parcels is not None:
        these = sa.and_(these, lines.parcel.in_(parcels))
    connection.execute(sa.update(reservation_lines).where(these).values(state=state, updated_at=moment))
    _close_if_empty(connection, order_id)


def _close_if_empty(connection: sa.Connection, order_id: str) -> None:
    rest = sa.exists().where(reservation_lines.c.order_id == order_id, reservation_lines.c.state == ACTIVE)
    connection.execute(
        sa.update(reservations).where(reservations.c.order_id == order_id).values(open=rest, updated_at=now())
    )


def _is_overdue(connection: sa.Connection, order_id: str) -> bool:
    row = connection.execute(
        sa.select(reservations.c.open, reservations.c.expires_at)
        .where(reservations.c.order_id == order_id)
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise _unknown(order_id)
    return bool(row.open) and row.expires_at < now()


def _unknown(order_id: str, parcel: int | None = None) -> UnknownReservation:
    what = f"parcel {parcel} of the order {order_id}" if parcel is not None else f"the order {order_id}"
    return UnknownReservation(f"Nothing is reserved for {what}.", order_id=order_id, parcel=parcel)
