"""Which orders should have a workflow, by what MySQL says of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import aware, naive
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.tables.orders import orders, parcels
from domain.fulfilment import ParcelStatus
from domain.orders import FINAL_STATUSES, OrderStatus, PaymentStatus

Row = sa.Row[Any]
_FINAL = sorted(FINAL_STATUSES)
_OPEN = sorted(status.value for status in OrderStatus if status not in FINAL_STATUSES)
_MAY_HOLD = (PaymentStatus.AUTHORIZED, PaymentStatus.PARTIALLY_CAPTURED, PaymentStatus.PARTIALLY_REFUNDED)
_COLUMNS: tuple[sa.Column[Any], ...] = (
    orders.c.id,
    orders.c.number,
    orders.c.status,
    orders.c.payment_status,
    orders.c.updated_at,
)
# Of an order that has ended: what was dispatched, and whatever is shipped in the place of another.
_UNDER_WAY = sa.or_(
    parcels.c.status.in_(sorted(status for status in ParcelStatus if not status.is_final and status.was_dispatched)),
    sa.and_(
        parcels.c.replaces.is_not(None),
        parcels.c.status.in_(sorted(status for status in ParcelStatus if not status.is_final)),
    ),
)


@dataclass(frozen=True)
class Unfinished:
    """An order that has not ended, or has and is not finished: parcels under way, money that may still be held."""

    order_id: str
    number: int
    status: OrderStatus
    changed_at: datetime
    may_hold: bool
    parcels: tuple[int, ...]

    @property
    def has_ended(self) -> bool:
        """Whether it is the rest of an order that has ended."""
        return self.status in FINAL_STATUSES


class UnfinishedOrders:
    """Reads pages by the order's number."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def page(self, after: int, since: datetime, until: datetime, limit: int) -> list[Unfinished]:
        """The next orders in which nothing has happened since `until`; of those that have ended, before `since` is too
        long ago.
        """
        under_way = sa.exists().where(parcels.c.order_id == orders.c.id, _UNDER_WAY)
        rest = sa.or_(orders.c.payment_status.in_(_MAY_HOLD), under_way)
        ended = sa.and_(orders.c.status.in_(_FINAL), orders.c.updated_at >= naive(since), rest)
        query = (
            sa.select(*_COLUMNS)
            .where(orders.c.number > after, orders.c.updated_at < naive(until))
            .where(sa.or_(orders.c.status.in_(_OPEN), ended))
            .order_by(orders.c.number)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
            numbers = _under_way(connection, [row.id for row in rows])
        return [_unfinished(row, numbers.get(row.id, ()), may_hold=self._may_hold(row)) for row in rows]

    def _may_hold(self, row: Row) -> bool:
        """Its payment status says so; refunded in part is also one of which nothing is held any more."""
        if row.payment_status != PaymentStatus.PARTIALLY_REFUNDED:
            return row.payment_status in _MAY_HOLD
        return OrderStore(self._engine).holds_money(row.id)

    def overdue(self, moment: datetime, expected: Mapping[OrderStatus, timedelta]) -> list[Unfinished]:
        """The orders in which nothing has happened for longer than is expected of their status."""
        too_long = [
            sa.and_(orders.c.status == status, orders.c.updated_at < naive(moment - time))
            for status, time in expected.items()
        ]
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(*_COLUMNS).where(sa.or_(*too_long)).order_by(orders.c.number)).all()
        return [_unfinished(row, (), may_hold=row.payment_status in _MAY_HOLD) for row in rows]

    def ended(self, order_ids: Collection[str], until: datetime) -> dict[str, datetime]:
        """Those of the orders that had ended before `until`, and when they changed last."""
        query = sa.select(orders.c.id, orders.c.updated_at).where(
            orders.c.id.in_(order_ids), orders.c.status.in_(_FINAL), orders.c.updated_at < naive(until)
        )
        with self._engine.connect() as connection:
            return {row.id: aware(row.updated_at) for row in connection.execute(query)}


def _unfinished(row: Row, parcels_under_way: Sequence[int], *, may_hold: bool) -> Unfinished:
    return Unfinished(
        row.id,
        row.number,
        OrderStatus(row.status),
        aware(row.updated_at),
        may_hold,
        tuple(parcels_under_way),
    )


def _under_way(connection: sa.Connection, order_ids: Collection[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    query = sa.select(parcels.c.order_id, parcels.c.number).where(parcels.c.order_id.in_(order_ids), _UNDER_WAY)
    for row in connection.execute(query.order_by(parcels.c.order_id, parcels.c.number)):
        found.setdefault(row.order_id, []).append(row.number)
    return found
