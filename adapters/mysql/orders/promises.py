"""What an order promises: until when each of its parcels ships, and how long it waits for goods that are not there."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from adapters.mysql.clock import aware, naive, now
from adapters.mysql.history import Change, append, lock_order, recorded
from adapters.mysql.orders.order_rows import this_parcel
from adapters.mysql.tables.orders import orders, parcels
from adapters.mysql.tables.stock import ACTIVE, reservation_lines
from adapters.mysql.transactions import in_transaction
from domain.actors import SYSTEM_ACTOR
from domain.errors import NotBackordered
from domain.events import EventType
from domain.fulfilment import ParcelStatus
from domain.orders import SOLD_STATUSES
from domain.shipping import SHIPPING_METHODS, ShippingMethod
from schemas.stock import StockAllocated

BACKORDERED_FOR = timedelta(days=30)
# Of a parcel: some of its goods have yet to arrive.
WAITING_FOR_GOODS = sa.exists().where(
    reservation_lines.c.order_id == parcels.c.order_id,
    reservation_lines.c.parcel == parcels.c.number,
    reservation_lines.c.state == ACTIVE,
    reservation_lines.c.backordered > 0,
)
_NOT_DISPATCHED = sorted((ParcelStatus.PLANNED, ParcelStatus.BOOKED))
_SOLD = sorted(SOLD_STATUSES)
_NOTHING_WAITS = "Nothing of the order waits for goods."
_BARELY = timedelta(hours=1)  # an extension by less is a repeat of the request


@dataclass(frozen=True)
class Promised:
    """A parcel whose order was promised something about it until this moment; `late` once it is recorded as late."""

    order_id: str
    number: int
    parcel: int
    until: datetime
    late: bool


def promise_dispatch(connection: sa.Connection, order_id: str, backordered_for: timedelta) -> None:
    """An order is confirmed: its parcels ship within the handling time of its method, counted from now, and those that
    wait for goods wait no longer than that.
    """
    moment = now()
    connection.execute(
        sa.update(parcels)
        .where(parcels.c.order_id == order_id)
        .values(
            ship_by=sa.case((WAITING_FOR_GOODS, None), else_=_ship_by(moment)),
            backordered_until=sa.case((WAITING_FOR_GOODS, moment + backordered_for), else_=None),
        )
    )


def promise_replacement(connection: sa.Connection, order_id: str, number: int) -> None:
    """A parcel is shipped again: counted from now it ships as any other of a confirmed order."""
    connection.execute(sa.update(parcels).where(this_parcel(order_id, number)).values(ship_by=_ship_by(now())))


def promise_allocated(connection: sa.Connection, allocated: Iterable[StockAllocated]) -> None:
    """The goods of these parcels are complete: counted from now they ship as any other of a confirmed order."""
    these = [(one.order_id, one.parcel) for one in allocated]
    if these:
        complete = sa.tuple_(parcels.c.order_id, parcels.c.number).in_(these)
        waited = parcels.c.backordered_until.is_not(None)
        connection.execute(
            sa.update(parcels).where(complete, waited).values(ship_by=_ship_by(now()), backordered_until=None)
        )


class Promises:
    """Which promises are not kept, by the page, and what follows from that."""

    def __init__(self, engine: sa.Engine, backordered_for: timedelta = BACKORDERED_FOR) -> None:
        self._engine = engine
        self._backordered_for = backordered_for

    def late(self, moment: datetime) -> list[Promised]:
        """The parcels of confirmed orders, or shipped again, that should have been dispatched before this moment."""
        return self._promised(parcels.c.ship_by, moment, *_NOT_DISPATCHED)

    def backordered(self, moment: datetime) -> list[Promised]:
        """The parcels that wait for their goods until before this moment."""
        return self._promised(parcels.c.backordered_until, moment, ParcelStatus.PLANNED)

    def record_late(self, late: Promised) -> bool:
        """Record that the parcel is late, once; False when it was, or is not any more."""

        def work(connection: sa.Connection) -> bool:
            order = lock_order(connection, late.order_id)
            this = this_parcel(late.order_id, late.parcel)
            open_still = sa.and_(this, parcels.c.status.in_(_NOT_DISPATCHED), parcels.c.late_at.is_(None))
            if not connection.execute(sa.update(parcels).where(open_still).values(late_at=now())).rowcount:
                return False
            data = {"parcel": late.parcel, "ship_by": late.until.isoformat()}
            change = Change(f"parcel-{late.parcel}:late", EventType.PARCEL_LATE, SYSTEM_ACTOR, data)
            append(connection, order, change)
            return True

        return in_transaction(self._engine, work)

    def remind(self, waiting: Promised) -> bool:
        """Remind the customer that the wait for goods ends, once for each end; False when they were."""
        step = f"backorder-reminder-{waiting.parcel}:{waiting.until:%Y%m%dT%H%M%S}"
        data = {"parcel": waiting.parcel, "wait_until": waiting.until.isoformat()}

        with self._engine.connect() as connection:
            if recorded(connection, waiting.order_id, step):
                return False

        def work(connection: sa.Connection) -> bool:
            order = lock_order(connection, waiting.order_id)
            if recorded(connection, waiting.order_id, step):
                return False
            append(connection, order, Change(step, EventType.ORDER_BACKORDER_REMINDER, SYSTEM_ACTOR, data))
            return True

        return in_transaction(self._engine, work)

    def wait_longer(self, order_id: str, actor: str) -> None:
        """Wait for the goods of the order as long again, counted from now; a repeat changes nothing.

        Raises NotFound, and NotBackordered when nothing of the order waits for goods.
        """

        def work(connection: sa.Connection) -> None:
            order = lock_order(connection, order_id)
            waiting = sa.and_(
                parcels.c.order_id == order_id,
                parcels.c.status == ParcelStatus.PLANNED,
                parcels.c.backordered_until.is_not(None),
            )
            soonest = connection.scalar(sa.select(sa.func.min(parcels.c.backordered_until)).where(waiting))
            if soonest is None or order.status not in SOLD_STATUSES:
                raise NotBackordered(_NOTHING_WAITS)
            until = now() + self._backordered_for
            if until - soonest < _BARELY:
                return
            connection.execute(sa.update(parcels).where(waiting).values(backordered_until=until))
            data = {"wait_until": aware(until).isoformat()}
            step = f"backorder-extended:{until:%Y%m%dT%H%M%S}"
            append(connection, order, Change(step, EventType.ORDER_BACKORDER_EXTENDED, actor, data))

        in_transaction(self._engine, work)

    def overdue_units(self, order_id: str, parcel: int) -> dict[str, int]:
        """Units by SKU in a parcel whose wait for goods is over; empty when it has them, or waits longer."""
        return self._waiting_units(order_id, parcels.c.number == parcel, parcels.c.backordered_until < now())

    def waiting_units(self, order_id: str) -> dict[str, int]:
        """Units by SKU in parcels that wait for goods; raises NotBackordered when there are none."""
        units = self._waiting_units(order_id)
        if not units:
            raise NotBackordered(_NOTHING_WAITS)
        return units

    def _waiting_units(self, order_id: str, *which: sa.ColumnElement[bool]) -> dict[str, int]:
        waiting = sa.and_(parcels.c.order_id == order_id, parcels.c.status == ParcelStatus.PLANNED, WAITING_FOR_GOODS)
        units = Counter[str]()
        with self._engine.connect() as connection:
            for lines in connection.scalars(sa.select(parcels.c.lines).where(waiting, *which)):
                units.update({line["sku"]: line["quantity"] for line in lines})
        return dict(sorted(units.items()))

    def _promised(self, until: sa.Column[datetime], moment: datetime, *statuses: ParcelStatus) -> list[Promised]:
        query = (
            sa.select(
                parcels.c.order_id,
                orders.c.number.label("order"),
                parcels.c.number,
                until.label("until"),
                parcels.c.late_at,
            )
            .join(orders, orders.c.id == parcels.c.order_id)
            .where(parcels.c.status.in_(statuses), until < naive(moment))
            .where(sa.or_(orders.c.status.in_(_SOLD), parcels.c.replaces.is_not(None)))
            .order_by(until, parcels.c.order_id, parcels.c.number)
        )
        with self._engine.connect() as connection:
            return [
                Promised(row.order_id, row.order, row.number, aware(row.until), row.late_at is not None)
                for row in connection.execute(query)
            ]


def _ship_by(moment: datetime) -> sa.ColumnElement[datetime]:
    """By the shipping method of the parcel's order, counted from this moment."""
    method = sa.select(orders.c.shipping_method).where(orders.c.id == parcels.c.order_id).scalar_subquery()
    by_method = {code: moment + timedelta(hours=known.handling_hours) for code, known in SHIPPING_METHODS.items()}
    return sa.case(by_method, value=method, else_=moment + timedelta(hours=ShippingMethod.handling_hours))
