"""How many units of each product were sold lately: kept beside the product, so that no edit or import touches it."""

from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from functools import partial

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.catalog.events import ProductAnnouncement, announce
from adapters.mysql.clock import now
from adapters.mysql.tables.catalog import product_sales, products, variants
from adapters.mysql.tables.orders import order_lines, orders
from adapters.mysql.transactions import in_transaction
from domain.actors import system_actor
from domain.events import EventType
from domain.orders import SOLD_STATUSES

PAGE = 500
# An order's id is made when its customer asks, its row a little later.
_IDS_ARE_OLDER = timedelta(days=1)
_EVENT_DATA = {"actor": system_actor("sales"), "fields": ["popularity"]}


def sold_lately(connection: sa.Connection, codes: Collection[str]) -> dict[str, int]:
    """Units by product, as they were counted last; those that sold nothing may be left out."""
    kept = sa.select(product_sales.c.product, product_sales.c.units).where(product_sales.c.product.in_(codes))
    return {row.product: row.units for row in connection.execute(kept)}


class ProductSales:
    """Counts page by page; a count depends on the orders alone, so counting twice changes nothing."""

    def __init__(self, engine: sa.Engine, window: timedelta) -> None:
        self._engine = engine
        self._window = window

    def count(self, heartbeat: Callable[[str, int], object], after: str = "", changed: int = 0) -> int:
        """Count what each product after this code has sold, and announce those whose count has changed.

        Each page is one transaction, after which `heartbeat` is called with the last code and the count so far; passed
        to a later call, they make it continue from there. Answers the whole count.
        """
        since = now() - self._window
        while codes := self._next(after):
            changed += in_transaction(self._engine, partial(_count, codes=codes, since=since))
            after = codes[-1]
            heartbeat(after, changed)
        return changed

    def _next(self, after: str) -> list[str]:
        query = sa.select(products.c.code).where(products.c.code > after).order_by(products.c.code).limit(PAGE)
        with self._engine.connect() as connection:
            return list(connection.scalars(query))


def _count(connection: sa.Connection, codes: Collection[str], since: datetime) -> int:
    parts = connection.execute(sa.select(variants.c.sku, variants.c.product).where(variants.c.product.in_(codes)))
    product_of = {row.sku: row.product for row in parts}
    units: Counter[str] = Counter()
    for sku, sold in _units_sold(connection, product_of, since).items():
        units[product_of[sku]] += sold
    before = sold_lately(connection, codes)
    changed = [
        {"product": code, "units": units[code], "counted_at": now()}
        for code in codes
        if units[code] != before.get(code, 0)
    ]
    if changed:
        statement = mysql_insert(product_sales)
        fresh = {name: statement.inserted[name] for name in ("units", "counted_at")}
        connection.execute(statement.on_duplicate_key_update(fresh), changed)
        announce(
            connection,
            [ProductAnnouncement(str(row["product"]), EventType.PRODUCT_CHANGED, _EVENT_DATA) for row in changed],
        )
    return len(changed)


def _units_sold(connection: sa.Connection, skus: Collection[str], since: datetime) -> dict[str, int]:
    """Units by SKU in orders made since then that are confirmed or further; a cancelled order has sold nothing."""
    rows = connection.execute(
        sa.select(order_lines.c.sku, sa.func.sum(order_lines.c.quantity).label("units"))
        .join(orders, orders.c.id == order_lines.c.order_id)
        .where(
            order_lines.c.sku.in_(skus),
            order_lines.c.order_id >= _first_id(since - _IDS_ARE_OLDER),
            orders.c.created_at >= since,
            orders.c.status.in_(SOLD_STATUSES),
        )
        .group_by(order_lines.c.sku)
    )
    return {row.sku: int(row.units) for row in rows}


def _first_id(moment: datetime) -> str:
    """Ids begin with their time, so that the index of SKUs, which ends with them, is not read back to its beginning."""
    milliseconds = int(moment.replace(tzinfo=UTC).timestamp() * 1000)
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}"
