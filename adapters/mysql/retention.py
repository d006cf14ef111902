"""Purges: rows that are older than the retention of their kind are deleted, a batch at a time, by an index.

A batch is read and locked from the old end of its index, past rows that somebody else has locked, and deleted by
primary key in one short transaction. So nobody waits for a purge, two can run side by side, and one that was
interrupted is simply run again.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import aware, naive
from adapters.mysql.event_archive import archive_events
from adapters.mysql.tables.catalog import product_events, product_import_errors, product_imports
from adapters.mysql.tables.identity import (
    authorization_codes,
    email_tokens,
    login_failures,
    refresh_tokens,
    revoked_tokens,
)
from adapters.mysql.tables.schema import OUTBOX_PARTITIONS
from adapters.mysql.tables.shared import idempotency_keys, notifications, webhook_receipts
from adapters.mysql.transactions import in_transaction
from domain.retention import DataKind
from schemas.retention import RowsPurged

BATCH = 1_000


@dataclass(frozen=True)
class Bounds:
    """How much one run does at most; what is left is for the next."""

    rows: int = 1_000_000
    longest: timedelta = timedelta(minutes=20)
    batch: int = BATCH


@dataclass(frozen=True)
class _Old:
    """Rows of a table that are old, in the order of the index by which they are found."""

    table: sa.Table
    older_than: Callable[[datetime], sa.ColumnElement[bool]]
    order: Sequence[sa.Column[Any]]


def _by(table: sa.Table, moment: sa.Column[datetime]) -> list[_Old]:
    return [_Old(table, lambda before: moment < before, [moment])]


def _published(partition: int) -> _Old:
    events = product_events.c

    def older_than(before: datetime) -> sa.ColumnElement[bool]:
        return sa.and_(events.partition_no == partition, events.published_at < before)

    return _Old(product_events, older_than, [events.published_at, events.id])


def _of_old_imports(before: datetime) -> sa.ColumnElement[bool]:
    errors, imports = product_import_errors.c, product_imports.c
    # An id begins with the moment it was made at: an import that was made later was worked on later.
    first = f"{int(aware(before).timestamp() * 1000):012x}"
    # A scalar, which no server turns into a join that would sort.
    worked_on = sa.select(imports.updated_at).where(imports.id == errors.import_id).scalar_subquery()
    return sa.and_(errors.import_id < f"{first[:8]}-{first[8:]}", worked_on < before)


_OLD: Mapping[DataKind, list[_Old]] = {
    DataKind.IDEMPOTENCY_KEYS: _by(idempotency_keys, idempotency_keys.c.expires_at),
    DataKind.WEBHOOK_RECEIPTS: _by(webhook_receipts, webhook_receipts.c.received_at),
    DataKind.EMAIL_TOKENS: _by(email_tokens, email_tokens.c.expires_at),
    DataKind.AUTHORIZATION_CODES: _by(authorization_codes, authorization_codes.c.expires_at),
    DataKind.REFRESH_TOKENS: _by(refresh_tokens, refresh_tokens.c.expires_at),
    DataKind.REVOKED_TOKENS: _by(revoked_tokens, revoked_tokens.c.expires_at),
    DataKind.LOGIN_FAILURES: _by(login_failures, login_failures.c.last_at),
    DataKind.NOTIFICATIONS: _by(notifications, notifications.c.sent_at),
    DataKind.PRODUCT_IMPORT_ERRORS: [
        _Old(product_import_errors, _of_old_imports, list(product_import_errors.primary_key))
    ],
    DataKind.PRODUCT_EVENTS: [_published(partition) for partition in range(OUTBOX_PARTITIONS)],
}


class Purges:
    """Purges of every kind of data."""

    def __init__(self, engine: sa.Engine, bounds: Bounds | None = None) -> None:
        self._engine = engine
        self._bounds = bounds or Bounds()

    def purge(
        self, kind: DataKind, before: datetime, progress: Callable[[int], object] = lambda _: None, done: int = 0
    ) -> RowsPurged:
        """Delete, or archive, what is older, until nothing is left or the bounds of a run are reached.

        `progress` is called after each batch with the count so far, which begins at `done`.
        """
        moment, until = naive(before), time.monotonic() + self._bounds.longest.total_seconds()
        for rows in self._batches(kind, moment):
            done += rows
            progress(done)
            if done >= self._bounds.rows or time.monotonic() > until:
                return RowsPurged(kind=kind, rows=done, finished=False)
        return RowsPurged(kind=kind, rows=done, finished=True)

    def _batches(self, kind: DataKind, before: datetime) -> Iterator[int]:
        if kind is DataKind.ORDER_EVENTS:
            yield from archive_events(self._engine, before, self._bounds.batch)
            return
        for old in _OLD[kind]:
            while rows := in_transaction(
                self._engine, partial(_delete, old=old, before=before, limit=self._bounds.batch)
            ):
                yield rows


def _delete(connection: sa.Connection, old: _Old, before: datetime, limit: int) -> int:
    table = old.table
    keys = list(table.primary_key)
    found = connection.execute(
        sa.select(*keys)
        .where(old.older_than(before))
        .order_by(*old.order)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if found:
        connection.execute(sa.delete(table).where(sa.tuple_(*keys).in_([tuple(row) for row in found])))
    return len(found)
