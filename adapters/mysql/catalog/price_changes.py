"""Announces products whose price changes because a price period begins or ends, without an edit."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from adapters.mysql.catalog.events import ProductAnnouncement, announce
from adapters.mysql.clock import naive
from adapters.mysql.tables.catalog import price_watermark, prices, variants
from adapters.mysql.transactions import in_transaction
from domain.actors import system_actor
from domain.events import EventType

BATCH = 500
_NAME = "prices"
_EVENT_DATA = {"actor": system_actor("price-changes"), "fields": ["price"]}
# The clocks of our machines differ by less: whoever reads the price after the event must not be before the moment.
_CLOCKS_DIFFER = timedelta(seconds=1)


class PriceChanges:
    """Announces products in the order of the moments their prices changed, and remembers how far it came.

    The mark moves with the events in one transaction: what happened while this did not run is announced later, once. A
    price that is written with a moment in the past was announced by the edit that wrote it.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def announce(self, heartbeat: Callable[[int], object], until: datetime | None = None, limit: int = BATCH) -> int:
        """Announce every product of which a price began or ended before `until`, by default a second ago.

        Each `limit` of them are one transaction, after which `heartbeat` is called with the count so far; answers
        the whole count.
        """
        end = naive(until or datetime.now(UTC) - _CLOCKS_DIFFER)
        total = 0
        while (
            announced := in_transaction(self._engine, lambda connection: _announce_next(connection, end, limit))
        ) is not None:
            total += announced
            heartbeat(total)
        return total


def _announce_next(connection: sa.Connection, end: datetime, limit: int) -> int | None:
    """How many were announced, None when the mark has reached the end."""
    this = price_watermark.c.name == _NAME
    mark = connection.execute(sa.select(price_watermark).where(this).with_for_update()).one()
    if mark.moment >= end:
        return None
    changed = _changed(connection, mark, end, limit)
    last = changed[-1] if len(changed) == limit else (end, "")
    connection.execute(sa.update(price_watermark).where(this).values(moment=last[0], sku=last[1]))
    skus = {sku for _, sku in changed}
    codes = connection.scalars(sa.select(variants.c.product).where(variants.c.sku.in_(skus)).distinct()).all()
    announce(connection, [ProductAnnouncement(code, EventType.PRODUCT_PRICE_CHANGED, _EVENT_DATA) for code in codes])
    return len(codes)


def _changed(connection: sa.Connection, mark: sa.Row[Any], end: datetime, limit: int) -> list[tuple[datetime, str]]:
    """The next moments and SKUs after the mark, in this order; thousands of prices may begin at one moment."""
    found: set[tuple[datetime, str]] = set()
    for moment in (prices.c.valid_from, prices.c.valid_to):
        at_the_mark = sa.and_(moment == mark.moment, prices.c.sku > mark.sku)
        query = (
            sa.select(moment, prices.c.sku)
            .where(sa.or_(at_the_mark, sa.and_(moment > mark.moment, moment < end)))
            .distinct()
            .order_by(moment, prices.c.sku)
            .limit(limit)
        )
        found |= {(row[0], row[1]) for row in connection.execute(query)}
    return sorted(found)[:limit]
