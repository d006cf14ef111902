"""Which orders should have a workflow, by what MySQL says of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import aware, naive
from adapters.mysql.payments.credit_balances import credit_of_order
from adapters.mysql.payments.ledger import balances
from adapters.mysql.tables.orders import orders, parcels
from adapters.mysql.tables.payments import credit_entries
from adapters.mysql.tables.stock import reservations
from domain.fulfilment import ParcelStatus
from domain.ledger import Account
from domain.orders import FINAL_STATUSES, OrderStatus, PaymentStatus

Row = sa.Row[Any]
_FINAL = sorted(FINAL_STATUSES)
_OPEN = sorted(status.value for status in OrderStatus if status not in FINAL_STATUSES)
# The ledger is asked whether anything is held. Of an order that was not paid it may be store credit alone.
_HOLDING = sorted(
    (
        PaymentStatus.AUTHORIZED,
        PaymentStatus.PARTIALLY_CAPTURED,
        PaymentStatus.PARTIALLY_REFUNDED,
        PaymentStatus.DISPUTED,
    )
)
_HOLDS_CREDIT = sa.and_(
    orders.c.payment_status == PaymentStatus.NOT_PAID,
    sa.exists().where(credit_entries.c.order_id == orders.c.id),
)
_COLUMNS: tuple[sa.Column[Any], ...] = (
    orders.c.id,
    orders.c.number,
    orders.c.status,
    orders.c.updated_at,
)
# Of an order that has ended: what was dispatched, and whatever is shipped in the place of another.
_UNDER_WAY = sa.and_(
    parcels.c.status.in_(sorted(status for status in ParcelStatus if not status.is_final)),
    sa.or_(
        parcels.c.status.in_(sorted(status for status in ParcelStatus if status.was_dispatched)),
        parcels.c.replaces.is_not(None),
    ),
)


@dataclass(frozen=True)
class Unfinished:
    """An order that has not ended, or has and is not finished: parcels under way, money that is still held.

    Of one that has not ended these are not looked up.
    """

    order_id: str
    number: int
    status: OrderStatus
    changed_at: datetime
    holds_money: bool = False
    parcels: tuple[int, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether it is the rest of an order that has ended."""
        return self.status in FINAL_STATUSES


class UnfinishedOrders:
    """Finds them by the few that are open, hold money or have parcels under way, however many have ended."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def numbers(self, since: datetime, until: datetime, listed: Collection[str] = ()) -> list[int]:
        """The numbers of the orders in which nothing has happened since `until`, in their order; of those that have
        ended, before `since` is too long ago, but for those that are `listed`.
        """
        quiet = orders.c.updated_at < naive(until)
        ended = sa.and_(orders.c.status.in_(_FINAL), quiet)
        recent = sa.and_(ended, orders.c.updated_at >= naive(since))
        shipping = sa.select(orders.c.number).join(parcels, parcels.c.order_id == orders.c.id).where(_UNDER_WAY)
        # Each by an index of its own; one condition over all of them would read every order there ever was.
        queries = [
            sa.select(orders.c.number).where(orders.c.status.in_(_OPEN), quiet),
            sa.select(orders.c.number).where(orders.c.payment_status.in_(_HOLDING), recent),
            sa.select(orders.c.number).where(_HOLDS_CREDIT, recent),
            shipping.where(recent),
            sa.select(orders.c.number).where(orders.c.id.in_(listed), ended),
        ]
        with self._engine.connect() as connection:
            return sorted({number for query in queries for number in connection.scalars(query)})

    def some(self, numbers: Collection[int], until: datetime) -> list[Unfinished]:
        """Those of the numbered orders in which still nothing has happened since `until`, in their order."""
        query = sa.select(*_COLUMNS).where(orders.c.number.in_(numbers), orders.c.updated_at < naive(until))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(orders.c.number)).all()
            under_way = _under_way(connection, [row.id for row in rows])
            return [_with_remains(connection, row, under_way.get(row.id, ())) for row in rows]

    def overdue(self, moment: datetime, expected: Mapping[OrderStatus, timedelta]) -> list[Unfinished]:
        """The orders in which nothing has happened for longer than is expected of their status."""
        too_long = [
            sa.and_(orders.c.status == status, orders.c.updated_at < naive(moment - time))
            for status, time in expected.items()
        ]
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(*_COLUMNS).where(sa.or_(*too_long)).order_by(orders.c.number)).all()
        return [_order(row) for row in rows]

    def ended(self, order_ids: Collection[str], until: datetime) -> dict[str, datetime]:
        """Those of the orders that had ended before `until`, and when they changed last."""
        query = sa.select(orders.c.id, orders.c.updated_at).where(
            orders.c.id.in_(order_ids), orders.c.status.in_(_FINAL), orders.c.updated_at < naive(until)
        )
        with self._engine.connect() as connection:
            return {row.id: aware(row.updated_at) for row in connection.execute(query)}


def anything_remains(connection: sa.Connection, order_id: str) -> bool:
    """Whether a workflow of an order that has ended would have anything to do."""
    under_way = sa.select(parcels.c.number).where(parcels.c.order_id == order_id, _UNDER_WAY)
    reserved = sa.select(reservations.c.order_id).where(reservations.c.order_id == order_id, reservations.c.open)
    if any(connection.execute(query.limit(1)).first() is not None for query in (under_way, reserved)):
        return True
    return _holds_money(connection, order_id)


def _holds_money(connection: sa.Connection, order_id: str) -> bool:
    """Whether something is authorized, by card or as store credit, that is neither captured nor voided."""
    return balances(connection, order_id)[Account.HELD] + credit_of_order(connection, order_id).held > 0


def _order(row: Row) -> Unfinished:
    return Unfinished(row.id, row.number, OrderStatus(row.status), aware(row.updated_at))


def _with_remains(connection: sa.Connection, row: Row, under_way: Sequence[int]) -> Unfinished:
    order = _order(row)
    if not order.has_ended:
        return order
    return replace(order, holds_money=_holds_money(connection, row.id), parcels=tuple(under_way))


def _under_way(connection: sa.Connection, order_ids: Collection[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    query = sa.select(parcels.c.order_id, parcels.c.number).where(parcels.c.order_id.in_(order_ids), _UNDER_WAY)
    for row in connection.execute(query.order_by(parcels.c.order_id, parcels.c.number)):
        found.setdefault(row.order_id, []).append(row.number)
    return found
