"""Products to be announced because their shelf changed: noted with the change, told a batch at a time afterwards."""

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
    """Have every product on the shelf, and below it, announced; `data` is what their events say."""
    row = {"kind": kind, "code": code, "data": dict(data), "created_at": now()}
    connection.execute(sa.insert(taxonomy_changes).values(row))


class TaxonomyChanges:
    """Works off what was noted. Any number may do so side by side: each takes another note."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def announce(self, heartbeat: Callable[[int], object], limit: int = BATCH) -> int:
        """Announce every product on the shelves noted so far.

        Each `limit` of them are one transaction, in which also stands how far it came; after it `heartbeat` hears
        how many it were so far. Answers how many it were in all.
        """
        total = 0
        while (told := in_transaction(self._engine, lambda connection: _announce_next(connection, limit))) is not None:
            total += told
            heartbeat(total)
        return total


def _announce_next(connection: sa.Connection, limit: int) -> int | None:
    """How many were announced, None when no note is left that nobody works on."""
    note = connection.execute(
        sa.select(taxonomy_changes).order_by(taxonomy_changes.c.id).limit(1).with_for_update(skip_locked=True)
    ).one_or_none()
    if note is None:
        return None
    on_it = products.c.brand == note.code
    if note.kind == "category":
        on_it = products.c.category.in_(_with_all_below(connection, note.code))
    codes = connection.scalars(
        sa.select(products.c.code)
        .where(on_it, products.c.code > note.after_product)
        .order_by(products.c.code)
        .limit(limit)
    ).all()
    this = taxonomy_changes.c.id == note.id
    if len(codes) < limit:
        connection.execute(sa.delete(taxonomy_changes).where(this))
    else:
        connection.execute(sa.update(taxonomy_changes).where(this).values(after_product=codes[-1]))
    announce(connection, [ProductAnnouncement(code, EventType.PRODUCT_CHANGED, note.data) for code in codes])
    return len(codes)


def _with_all_below(connection: sa.Connection, category: str) -> Collection[str]:
    rows = connection.execute(sa.select(categories.c.code, categories.c.parent)).all()
    found, fresh = {category}, {category}
    while fresh:
        fresh = {row.code for row in rows if row.parent in fresh} - found
        found |= fresh
    return found
