"""Orders for the search index, and as search results show them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import aware
from adapters.mysql.history import select_events
from adapters.mysql.orders.operator_tasks import open_tasks
from adapters.mysql.orders.views import order_summary
from adapters.mysql.tables.identity import users
from adapters.mysql.tables.orders import order_lines, orders
from domain.events import EventType
from domain.orders import FINAL_STATUSES, NEEDS_OPERATOR_STATUSES, OrderStatus
from schemas.operator_tasks import OperatorTaskView
from schemas.order_search import FoundOrder, IndexedOrder


def count(engine: sa.Engine) -> int:
    """How many orders there are."""
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(orders)) or 0


def next_ids(engine: sa.Engine, after: str, limit: int) -> Sequence[str]:
    """The ids of the next orders in order."""
    with engine.connect() as connection:
        query = sa.select(orders.c.id).where(orders.c.id > after).order_by(orders.c.id)
        return connection.scalars(query.limit(limit)).all()


def ids_of_closed_accounts(engine: sa.Engine, since: datetime, after: str, limit: int) -> Sequence[str]:
    """The ids of the next orders of customers who have closed their account since then."""
    query = (
        sa.select(orders.c.id)
        .join(users, users.c.id == orders.c.customer_id)
        .where(users.c.closed_at >= since, orders.c.id > after)
        .order_by(orders.c.id)
    )
    with engine.connect() as connection:
        return connection.scalars(query.limit(limit)).all()


def snapshots(engine: sa.Engine, ids: Collection[str]) -> list[IndexedOrder]:
    """Those of the orders that exist, each as of one event, without the personal data of closed accounts."""
    if not ids:
        return []
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
        found = connection.execute(
            sa.select(orders, users.c.closed_at)
            .outerjoin(users, users.c.id == orders.c.customer_id)
            .where(orders.c.id.in_(ids))
        ).all()
        lines = connection.execute(
            sa.select(order_lines)
            .where(order_lines.c.order_id.in_(ids))
            .order_by(order_lines.c.order_id, order_lines.c.position)
        ).all()
    return [_indexed(row, [line for line in lines if line.order_id == row.id]) for row in found]


def found_orders(engine: sa.Engine, ids: Sequence[str], stuck_since: datetime) -> list[FoundOrder]:
    """The orders in this sequence, as they are now; an open one is stuck when nothing has happened since then."""
    if not ids:
        return []
    with engine.connect() as connection:
        rows = {row.id: row for row in connection.execute(sa.select(orders).where(orders.c.id.in_(ids)))}
        blocked = [row.id for row in rows.values() if row.status == OrderStatus.COMPENSATION_BLOCKED]
        reasons = _needs_operator(connection, blocked)
        tasks = open_tasks(connection, list(rows))
    return [
        _found(rows[order_id], stuck_since, reasons.get(order_id, []), tasks.get(order_id, []))
        for order_id in ids
        if order_id in rows
    ]


def _needs_operator(connection: sa.Connection, blocked: Collection[str]) -> Mapping[str, list[str]]:
    """What could not be compensated in these orders, by the last event of each that says so."""
    if not blocked:
        return {}
    said = select_events(
        lambda events: sa.and_(events.c.order_id.in_(blocked), events.c.type == EventType.ORDER_COMPENSATION_BLOCKED),
        *("order_id", "seq", "data"),
    )
    found = connection.execute(said.order_by("seq"))
    return {row.order_id: list(row.data.get("needs_operator", [])) for row in found}


def _found(row: sa.Row[Any], stuck_since: datetime, reasons: list[str], tasks: list[OperatorTaskView]) -> FoundOrder:
    idle = row.status not in FINAL_STATUSES and aware(row.updated_at) < stuck_since
    return FoundOrder(
        **order_summary(row).model_dump(),
        email=row.email,
        stuck=idle or bool(tasks) or row.status in NEEDS_OPERATOR_STATUSES,
        # The history has it before the list of tasks has.
        needs_operator=[task.text for task in tasks] or reasons,
        operator_tasks=tasks,
    )


def _indexed(row: sa.Row[Any], lines: Sequence[sa.Row[Any]]) -> IndexedOrder:
    known = row.closed_at is None
    return IndexedOrder(
        id=row.id,
        number=row.number,
        last_seq=row.last_seq,
        status=row.status,
        email=row.email if known else None,
        city=row.shipping_address.get("city") if known else None,
        postal_code=row.shipping_address.get("postal_code") if known else None,
        skus=[line.sku for line in lines],
        names=[line.name for line in lines],
        updated_at=aware(row.updated_at),
    )
