"""Events of orders that ended long ago move to an archive, so that the table of the live ones stays small.

Histories and streams read both tables (`adapters.mysql.history.select_events`), and an event is in exactly one of them.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.tables.orders import (
    operator_tasks,
    order_events,
    order_events_archive,
    orders,
    parcel_resolutions,
    parcels,
)
from adapters.mysql.tables.payments import (
    credit_entries,
    disputes,
    ledger_postings,
    payment_differences,
    payment_entries,
    refunds,
)
from adapters.mysql.tables.stock import reservations
from adapters.mysql.transactions import in_transaction
from domain.credit import CreditAccount
from domain.fulfilment import ParcelStatus
from domain.ledger import Account
from domain.orders import FINAL_STATUSES
from schemas.refunds import RefundStatus

_UNDER_WAY = sorted(status for status in ParcelStatus if not status.is_final)


def archive_events(engine: sa.Engine, before: datetime, limit: int) -> Iterator[int]:
    """Archive the events of orders that have ended, with nothing left to do, and have not changed since `before`.

    Reads from the oldest event that is not archived, `limit` of them at a time, to the first that are newer; each order
    is moved in one transaction. Yields how many events were moved, after each page.
    """
    after = 0
    while page := _page(engine, after, limit):
        if min(row.occurred_at for row in page) >= before:
            return
        yield sum(
            _archive(engine, order_id, before) for order_id in _ended(engine, {row.order_id for row in page}, before)
        )
        after = page[-1].id


def _page(engine: sa.Engine, after: int, limit: int) -> Sequence[sa.Row[Any, Any, Any]]:
    events = order_events.c
    query = sa.select(events.id, events.order_id, events.occurred_at).where(events.id > after)
    with engine.connect() as connection:
        return connection.execute(query.order_by(events.id).limit(limit)).all()


def _ended(engine: sa.Engine, order_ids: Collection[str], before: datetime) -> list[str]:
    query = sa.select(orders.c.id).where(orders.c.id.in_(order_ids), _nothing_left_to_do(before))
    with engine.connect() as connection:
        return list(connection.scalars(query.order_by(orders.c.number)))


def _archive(engine: sa.Engine, order_id: str, before: datetime) -> int:
    return in_transaction(engine, lambda connection: _move(connection, order_id, before))


def _move(connection: sa.Connection, order_id: str, before: datetime) -> int:
    """An event is appended under the order's lock alone, so none comes in between."""
    ended = sa.select(orders.c.id).where(orders.c.id == order_id, _nothing_left_to_do(before))
    if connection.scalar(ended.with_for_update(skip_locked=True)) is None:
        return 0
    names = order_events.c.keys()
    source = sa.select(*order_events.c).where(order_events.c.order_id == order_id)
    copy = mysql_insert(order_events_archive).from_select(names, source)
    connection.execute(copy.on_duplicate_key_update(id=order_events_archive.c.id))
    copied = sa.select(order_events_archive.c.id).where(order_events_archive.c.order_id == order_id)
    ids = list(connection.scalars(copied))
    moved = sa.delete(order_events).where(order_events.c.order_id == order_id, order_events.c.id.in_(ids))
    return connection.execute(moved).rowcount


def _nothing_left_to_do(before: datetime) -> sa.ColumnElement[bool]:
    """Of an order: it has ended and not changed since, nothing of it is held, owed, under way, open or unpublished."""
    return sa.and_(
        orders.c.status.in_(sorted(FINAL_STATUSES)),
        orders.c.updated_at < before,
        _none_of(order_events, order_events.c.published_at.is_(None)),
        _none_of(parcels, parcels.c.status.in_(_UNDER_WAY)),
        _none_of(parcel_resolutions, parcel_resolutions.c.resolved_at.is_(None)),
        _none_of(reservations, reservations.c.open),
        _none_of(refunds, refunds.c.status == RefundStatus.PENDING),
        _none_of(disputes, disputes.c.open),
        _none_of(payment_differences, payment_differences.c.live_key.is_not(None)),
        _none_of(operator_tasks, operator_tasks.c.resolved_at.is_(None)),
        _held_by_card() == 0,
        _held_as_credit() == 0,
    )


def _none_of(table: sa.Table, condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return ~sa.exists().where(table.c.order_id == orders.c.id, condition)


def _held_by_card() -> sa.ColumnElement[int]:
    held = sa.func.coalesce(sa.func.sum(ledger_postings.c.amount), 0)
    of_the_order = sa.and_(payment_entries.c.order_id == orders.c.id, ledger_postings.c.account == Account.HELD)
    postings = payment_entries.join(ledger_postings, ledger_postings.c.entry_id == payment_entries.c.id)
    return sa.select(held).select_from(postings).where(of_the_order).correlate(orders).scalar_subquery()


def _held_as_credit() -> sa.ColumnElement[int]:
    entries = credit_entries.c
    moved = sa.case(
        (entries.target == CreditAccount.HELD, entries.amount),
        (entries.source == CreditAccount.HELD, -entries.amount),
        else_=0,
    )
    held = sa.func.coalesce(sa.func.sum(moved), 0)
    return sa.select(held).where(entries.order_id == orders.c.id).correlate(orders).scalar_subquery()
