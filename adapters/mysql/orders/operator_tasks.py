"""What needs an operator, of every workflow: written by the workflows, listed for staff."""

import re
from collections.abc import Collection, Iterator
from datetime import datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import Insert, insert

from adapters.mysql.clock import aware, naive, now
from adapters.mysql.history import lock_order
from adapters.mysql.tables.orders import operator_tasks, parcel_resolutions
from adapters.mysql.transactions import in_transaction
from domain.errors import NotFound, TaskResolvesItself
from schemas.operator_tasks import (
    OperatorTaskCode,
    OperatorTaskPage,
    OperatorTasksRecorded,
    OperatorTaskView,
    RecordOperatorTasks,
)

_DELIVERY_FAILED = OperatorTaskCode.DELIVERY_FAILED.value
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class OperatorTaskStore:
    """Rows stay when they are resolved, and are used again should the same thing wait once more."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def record(self, command: RecordOperatorTasks) -> OperatorTasksRecorded:
        """Make the workflow's open rows these; a revision older than the newest changes nothing."""
        return in_transaction(self._engine, lambda connection: _record(connection, command))

    def page(self, after: tuple[datetime, int] | None, limit: int, code: str | None = None) -> OperatorTaskPage:
        """What is open, the oldest first, after the one that began then and has this id."""
        since, number = operator_tasks.c.since, operator_tasks.c.id
        query = sa.select(operator_tasks).where(operator_tasks.c.resolved_at.is_(None))
        if code is not None:
            query = query.where(operator_tasks.c.code == code)
        if after is not None:
            query = query.where(sa.tuple_(since, number) > sa.tuple_(naive(after[0]), after[1]))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(since, number).limit(limit + 1)).all()
        last = rows[limit - 1] if len(rows) > limit else None
        cursor = f"{int(aware(last.since).timestamp() * 1_000_000)}-{last.id}" if last else None
        return OperatorTaskPage(items=[_view(row) for row in rows[:limit]], next_cursor=cursor)

    def counts(self) -> dict[str, tuple[int, datetime]]:
        """How many are open, and since when the oldest is, by code."""
        query = (
            sa.select(operator_tasks.c.code, sa.func.count(), sa.func.min(operator_tasks.c.since))
            .where(operator_tasks.c.resolved_at.is_(None))
            .group_by(operator_tasks.c.code)
        )
        with self._engine.connect() as connection:
            return {code: (count, aware(oldest)) for code, count, oldest in connection.execute(query)}

    def waiting_orders(self, code: str, limit: int) -> list[tuple[str, int | None]]:
        """The orders, with the parcel where a task names one, in which such a task waits for an answer by its route.

        The oldest first.
        """
        columns = operator_tasks.c.order_id, operator_tasks.c.parcel
        query = (
            sa.select(*columns)
            .where(operator_tasks.c.resolved_at.is_(None), operator_tasks.c.code == code)
            .where(operator_tasks.c.order_id.is_not(None), operator_tasks.c.route.is_not(None))
            .group_by(*columns)
            .order_by(sa.func.min(operator_tasks.c.since), *columns)
        )
        with self._engine.connect() as connection:
            return [(row.order_id, row.parcel) for row in connection.execute(query.limit(limit))]

    def open_workflows(self, prefix: str) -> list[str]:
        """The workflow ids with this prefix of which something is open."""
        workflow_id = operator_tasks.c.workflow_id
        query = sa.select(workflow_id).distinct().where(operator_tasks.c.resolved_at.is_(None))
        with self._engine.connect() as connection:
            return list(connection.scalars(query.where(workflow_id.startswith(prefix, autoescape=True))))

    def resolve(self, task_id: int, actor: str, reason: str) -> OperatorTaskView:
        """Somebody has dealt with it; the first resolution stays. Raises NotFound, and TaskResolvesItself."""
        mine = operator_tasks.c.id == task_id
        values = {"resolved_at": now(), "updated_at": now(), "resolved_by": actor, "resolution": reason}
        with self._engine.begin() as connection:
            row = connection.execute(sa.select(operator_tasks).where(mine).with_for_update()).one_or_none()
            if row is None:
                raise NotFound("There is no such task.")
            if not row.outlasts:
                raise TaskResolvesItself("This ends by itself once its cause is gone; use its route, if it has one.")
            if row.resolved_at is None:
                connection.execute(sa.update(operator_tasks).where(mine).values(values))
        return _view(row)


def open_tasks(connection: sa.Connection, order_ids: Collection[str]) -> dict[str, list[OperatorTaskView]]:
    """What needs an operator in these orders, and in all that belongs to them; the oldest first."""
    found: dict[str, list[OperatorTaskView]] = {}
    rows = connection.execute(
        sa.select(operator_tasks)
        .where(operator_tasks.c.order_id.in_(order_ids), operator_tasks.c.resolved_at.is_(None))
        .order_by(operator_tasks.c.since, operator_tasks.c.id)
    )
    for row in rows:
        found.setdefault(row.order_id, []).append(_view(row))
    return found


def resolve_delivery(connection: sa.Connection, order_id: str, parcel: int, actor: str, reason: str) -> None:
    """Something was done about a parcel that was lost or returned; the caller holds the order's lock."""
    columns, moment = operator_tasks.c, now()
    of_parcel = sa.and_(columns.order_id == order_id, columns.parcel == parcel, columns.code == _DELIVERY_FAILED)
    values = {"resolved_at": moment, "updated_at": moment, "resolved_by": actor, "resolution": reason}
    connection.execute(sa.update(operator_tasks).where(of_parcel, columns.resolved_at.is_(None)).values(values))


def _record(connection: sa.Connection, command: RecordOperatorTasks) -> OperatorTasksRecorded:
    resolved = _resolved_deliveries(connection, command)
    of_workflow = operator_tasks.c.workflow_id == command.workflow_id
    newest = connection.scalars(
        sa.select(operator_tasks.c.revision)
        .where(of_workflow)
        .order_by(operator_tasks.c.revision.desc())
        .with_for_update()
    ).first()
    if newest is None or newest <= command.revision:
        moment = now()
        for values in _rows(command, moment):
            fresh = {"resolved_at": None, "resolved_by": None, "resolution": None, **values}
            if values["code"] == _DELIVERY_FAILED:
                fresh |= resolved.get(values["parcel"], {})
            connection.execute(_upsert(fresh))
        # What is not among them any more has got their revision too: it is the newest that the workflow has sent.
        waits = sa.and_(of_workflow, operator_tasks.c.revision < command.revision)
        still_open = sa.func.coalesce(operator_tasks.c.resolved_at, moment)
        connection.execute(
            sa.update(operator_tasks)
            .where(waits)
            .values(revision=command.revision, resolved_at=still_open, updated_at=moment)
        )
    return OperatorTasksRecorded(open=len(command.tasks))


def _resolved_deliveries(connection: sa.Connection, command: RecordOperatorTasks) -> dict[int | None, dict[str, Any]]:
    """What was done about parcels of the order before their tasks were recorded: those are recorded as resolved.

    The order's lock decides which of the two comes first, and is taken before any row of a task.
    """
    if command.order_id is None or all(task.code != _DELIVERY_FAILED for task in command.tasks):
        return {}
    lock_order(connection, command.order_id)
    done = sa.and_(parcel_resolutions.c.order_id == command.order_id, parcel_resolutions.c.resolved_at.is_not(None))
    return {
        row.parcel: {"resolved_at": row.resolved_at, "resolved_by": row.actor, "resolution": row.reason}
        for row in connection.execute(sa.select(parcel_resolutions).where(done))
    }


def _upsert(fresh: dict[str, Any]) -> Insert:
    """Not over a newer one, which an attempt of the same write may have been overtaken by since it has looked."""
    statement = insert(operator_tasks).values(fresh)
    # Assigned in this sequence: the revision last, because the others depend on it.
    names = [name for name in fresh if name not in ("workflow_id", "task_key", "revision")] + ["revision"]
    newer = statement.inserted.revision >= operator_tasks.c.revision
    return statement.on_duplicate_key_update(
        [(name, sa.func.if_(newer, statement.inserted[name], operator_tasks.c[name])) for name in names]
    )


def _rows(command: RecordOperatorTasks, moment: datetime) -> Iterator[dict[str, Any]]:
    numbers: dict[tuple[str, str], int] = {}
    order_id = command.order_id if command.order_id and _UUID.fullmatch(command.order_id) else None
    for task in command.tasks:
        kind = (str(task.code), task.about)
        numbers[kind] = number = numbers.get(kind, 0) + 1
        yield {
            "workflow_id": command.workflow_id,
            "task_key": sha256("\0".join((*kind, str(number))).encode()).hexdigest(),
            "order_id": order_id,
            "parcel": task.parcel,
            "code": str(task.code),
            "about": task.about,
            "text": task.text,
            "since": naive(task.since),
            "due_at": naive(task.until) if task.until else None,
            "route": task.route,
            "outlasts": task.outlasts,
            "revision": command.revision,
            "updated_at": moment,
        }


def _view(row: sa.Row[Any]) -> OperatorTaskView:
    return OperatorTaskView(
        id=row.id,
        order_id=row.order_id,
        parcel=row.parcel,
        workflow_id=row.workflow_id,
        code=row.code,
        text=row.text,
        since=aware(row.since),
        until=aware(row.due_at) if row.due_at else None,
        # A mark counts for as long as the same thing waits.
        escalated_at=aware(row.escalated_at) if row.escalated_at and row.escalated_at >= row.since else None,
        route=row.route,
        resolvable=row.outlasts,
    )
