"""Announces products whose brand or category changed: recorded with the change, announced in batches afterwards."""

from collections.abc import Callable, Collection, Mapping
from typing import Literal

import sqlalchemy as sa

from adapters.mysql.catalog.events import ProductAnnouncement, announce
from adapters.mysql.clock import now
from adapters.mysql.tables.catalog import categories, products, taxonomy_changes
from adapters.mysql.transactions import in_transaction
from domain.events import EventType

BATCH = 500

Kind = Literal["brand", "category"]


def note_change(connection: sa.Connection, kind: Kind, code: str, data: Mapping[str, object]) -> None:
    """Have all products of the brand, or of the category and those below it, announced; `data` goes into the events."""
    row = {"kind": kind, "code": code, "data": dict(data), "created_at": now()}
    connection.execute(sa.insert(taxonomy_changes).values(row))


class TaxonomyChanges:
    """Processes recorded changes. Any number may do so side by side: each takes another change."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def announce(self, heartbeat: Callable[[int], object], limit: int = BATCH) -> int:
        """Announce every product of the brands and categories changed so far.

        Each `limit` of them are one transaction, which also records the progress; after it `heartbeat` is called
        with the count so far. Answers the whole count.
        """
        total = 0
        while (
            announced := in_transaction(self._engine, lambda connection: _announce_next(connection, limit))
        ) is not None:
            total += announced
            heartbeat(total)
        return total


def _announce_next(connection: sa.Connection, limit: int) -> int | None:
    """How many were announced, None when no change is left that is not being processed."""
    change = connection.execute(
        sa.select(taxonomy_changes).order_by(taxonomy_changes.c.id).limit(1).with_for_update(skip_locked=True)
    ).one_or_none()
    if change is None:
        return None
    affected = products.c.brand == change.code
    if change.kind == "category":
        affected = products.c.category.in_(_with_all_below(connection, change.code))
    codes = connection.scalars(
        sa.select(products.c.code)
        .where(affected, products.c.code > change.after_product)
        .order_by(products.c.code)
        .limit(limit)
    ).all()
    this = taxonomy_changes.c.id == change.id
    if len(codes) < limit:
        connection.execute(sa.delete(taxonomy_changes).where(this))
    else:
        connection.execute(sa.update(taxonomy_changes).where(this).values(after_product=codes[-1]))
    announce(connection, [ProductAnnouncement(code, EventType.PRODUCT_CHANGED, change.data) for code in codes])
    return len(codes)


def _with_all_below(connection: sa.Connection, category: str) -> Collection[str]:
    rows = connection.execute(sa.select(categories.c.code, categories.c.parent)).all()
    found, fresh = {category}, {category}
    while fresh:
        fresh = {row.code for row in rows if row.parent in fresh} - found
        found |= fresh
    return found
