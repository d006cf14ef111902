"""Orders as staff list them, by what MySQL alone knows: those that need an operator, then stuck ones, then the rest."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import naive
from adapters.mysql.tables.orders import operator_tasks, order_lines, orders
from domain.orders import FINAL_STATUSES, NEEDS_OPERATOR_STATUSES, OrderStatus
from schemas.order_search import OrderQuery

NEEDS_OPERATOR, STUCK, REST = 2.0, 1.0, 0.0  # the most urgent first; with the number, the place in the list
_OPEN = sorted(status.value for status in OrderStatus if status not in FINAL_STATUSES)
_WAITING = sorted(NEEDS_OPERATOR_STATUSES)
Place = tuple[float, int]  # urgency and number


def listed(
    engine: sa.Engine, query: OrderQuery, after: Place | None, since: datetime, limit: int
) -> list[tuple[str, Place]]:
    """The ids of the next orders and their places, by the exact criteria of the query; its words are left out."""
    found: list[tuple[str, Place]] = []
    with engine.connect() as connection:
        for urgency, condition in _tiers(query, since):
            if after is not None and urgency > after[0]:
                continue
            rows = sa.select(orders.c.id, orders.c.number).where(condition, *_criteria(query))
            if after is not None and urgency == after[0]:
                rows = rows.where(orders.c.number < after[1])
            rows = rows.order_by(orders.c.number.desc()).limit(limit - len(found))
            found += [(row.id, (urgency, row.number)) for row in connection.execute(rows)]
            if len(found) == limit:
                break
    return found


def needing_operator(engine: sa.Engine, limit: int) -> list[str]:
    """The ids of orders with something that needs an operator, which has waited longest first."""
    query = (
        sa.select(operator_tasks.c.order_id)
        .where(operator_tasks.c.resolved_at.is_(None), operator_tasks.c.order_id.is_not(None))
        .group_by(operator_tasks.c.order_id)
        .order_by(sa.func.min(operator_tasks.c.since))
        .limit(limit)
    )
    with engine.connect() as connection:
        return list(connection.scalars(query))


def _tiers(query: OrderQuery, since: datetime) -> Iterator[tuple[float, sa.ColumnElement[bool]]]:
    waiting = sa.select(operator_tasks.c.order_id).where(
        operator_tasks.c.resolved_at.is_(None), operator_tasks.c.order_id.is_not(None)
    )
    by_status = sa.select(orders.c.id).where(orders.c.status.in_(_WAITING))
    needs = orders.c.id.in_(sa.union(waiting, by_status))
    stuck = sa.and_(orders.c.status.in_(_OPEN), orders.c.updated_at < naive(since))
    if query.stuck is not False and query.needs_operator is not False:
        yield NEEDS_OPERATOR, needs
    if query.stuck is not False and query.needs_operator is not True:
        yield STUCK, sa.and_(stuck, sa.not_(needs))
    if query.stuck is not True and query.needs_operator is not True:
        yield REST, sa.and_(sa.not_(stuck), sa.not_(needs))


def _criteria(query: OrderQuery) -> Iterator[Any]:
    if query.number is not None:
        yield orders.c.number == query.number
    if query.email is not None:
        yield orders.c.email == query.email
    if query.status is not None:
        yield orders.c.status == query.status
    if query.sku is not None:
        yield orders.c.id.in_(sa.select(order_lines.c.order_id).where(order_lines.c.sku == query.sku.upper()))
