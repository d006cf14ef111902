"""The one way an order changes: lock its row, append one event with the next seq, in the caller's transaction.

`order_events` is the customer's history, the live stream and the outbox at once, so an event is published if and
only if the change it records was committed. Events of orders that ended long ago are in an archive: whoever reads
events reads both tables, by `select_events`.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import uuid_utils

from adapters.mysql.bounds import fitted
from adapters.mysql.clock import naive, now
from adapters.mysql.tables.orders import order_events, order_events_archive, orders
from adapters.mysql.tables.schema import OUTBOX_PARTITIONS
from domain.errors import NotFound
from domain.events import EventType
from domain.orders import (
    FINAL_STATUSES,
    WAITING_STATUSES,
    FulfilmentStatus,
    OrderStatus,
    PaymentStatus,
    check_move,
)


@dataclass(frozen=True)
class LockedOrder:
    """An order whose row this transaction has locked."""

    id: str
    status: OrderStatus
    payment_status: PaymentStatus
    fulfilment_status: FulfilmentStatus
    last_seq: int


@dataclass(frozen=True)
class Recorded:
    """An event in the history."""

    event_id: str
    seq: int
    status: OrderStatus
    payment_status: PaymentStatus


@dataclass(frozen=True)
class Change:
    """What happened to the order: the event to append and the statuses after it (None leaves one as it is).

    `awaiting` is the action required of the customer; it is cleared once the order no longer waits for them. It is
    shown to them alone: unlike `data` it is not published.
    """

    step: str
    type: EventType
    actor: str
    data: Mapping[str, object]
    status: OrderStatus | None = None
    payment_status: PaymentStatus | None = None
    fulfilment_status: FulfilmentStatus | None = None
    occurred_at: datetime | None = None
    awaiting: Mapping[str, object] | None = None


def lock_order(connection: sa.Connection, order_id: str) -> LockedOrder:
    """Lock the order's row for this transaction; raises NotFound. Always lock it before any stock row."""
    row = connection.execute(
        sa.select(orders.c.id, orders.c.status, orders.c.payment_status, orders.c.fulfilment_status, orders.c.last_seq)
        .where(orders.c.id == order_id)
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no order {order_id}.")
    return LockedOrder(
        row.id,
        OrderStatus(row.status),
        PaymentStatus(row.payment_status),
        FulfilmentStatus(row.fulfilment_status),
        row.last_seq,
    )


def lock_orders(connection: sa.Connection, order_ids: Iterable[str]) -> dict[str, LockedOrder]:
    """Lock several orders' rows, always in the same sequence, so that no two transactions wait for each other."""
    return {order_id: lock_order(connection, order_id) for order_id in sorted(set(order_ids))}


def select_events(which: Callable[[sa.Table], sa.ColumnElement[bool]], *columns: str) -> sa.CompoundSelect[Any]:
    """The events that meet a condition, archived or not; all columns where none is named."""
    both = (order_events, order_events_archive)
    return sa.union_all(
        *(sa.select(*(events.c[name] for name in columns or events.c.keys())).where(which(events)) for events in both)
    )


def recorded(connection: sa.Connection, order_id: str, step: str) -> Recorded | None:
    """The event an earlier attempt of this step left, if it got that far."""
    return _event(connection, lambda events: sa.and_(events.c.order_id == order_id, events.c.step == step))


def latest(connection: sa.Connection, order: LockedOrder) -> Recorded | None:
    """The order's last event."""
    return _event(connection, lambda events: sa.and_(events.c.order_id == order.id, events.c.seq == order.last_seq))


def _event(connection: sa.Connection, which: Callable[[sa.Table], sa.ColumnElement[bool]]) -> Recorded | None:
    query = select_events(which, "event_id", "seq", "status", "payment_status")
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return Recorded(row.event_id, row.seq, OrderStatus(row.status), PaymentStatus(row.payment_status))


def append(connection: sa.Connection, order: LockedOrder, change: Change) -> Recorded:
    """Write the event and move the order with it; raises IllegalMove when the order may not go there."""
    status = change.status or order.status
    check_move(order.status, status)
    payment = change.payment_status or order.payment_status
    fulfilment = change.fulfilment_status or order.fulfilment_status
    seq = order.last_seq + 1
    moment = now()
    event_id = str(uuid_utils.uuid7())
    connection.execute(
        sa.insert(order_events).values(
            event_id=event_id,
            order_id=order.id,
            seq=seq,
            step=change.step,
            type=change.type,
            status=status,
            payment_status=payment,
            fulfilment_status=fulfilment,
            actor=change.actor,
            data=dict(change.data),
            occurred_at=naive(change.occurred_at) if change.occurred_at else moment,
            partition_no=outbox_partition(order.id),
        )
    )
    connection.execute(
        sa.update(orders)
        .where(orders.c.id == order.id)
        .values(
            status=status,
            payment_status=payment,
            fulfilment_status=fulfilment,
            last_seq=seq,
            updated_at=moment,
            **_awaiting(status, change),
            **(_ending(status, change.data) if status is not order.status else {}),
        )
    )
    return Recorded(event_id, seq, status, payment)


def outbox_partition(order_id: str) -> int:
    """The outbox partition that all events of an order go through."""
    return zlib.crc32(order_id.encode()) % OUTBOX_PARTITIONS


def _awaiting(status: OrderStatus, change: Change) -> dict[str, Any]:
    if status not in WAITING_STATUSES:
        return {"awaiting": sa.null()}
    return {} if change.awaiting is None else {"awaiting": dict(change.awaiting)}


def _ending(status: OrderStatus, data: Mapping[str, object]) -> dict[str, Any]:
    """A failed or cancelled order records why, and releases its cart version so that the cart can be ordered again.

    One that had failed and is delivered all the same has not failed any more.
    """
    if status is OrderStatus.DELIVERED:
        return {"failure_code": None}
    if status not in FINAL_STATUSES:
        return {}
    code = data.get("code")  # a bank's or a carrier's own word, among others
    return {"cart_claim": None, "failure_code": fitted(orders.c.failure_code, str(code)) if code else None}
