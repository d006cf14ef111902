"""The one way stock changes: lock a SKU's rows, move units, write balances and ledger rows together, tell what flipped.

Locks are always taken in the same order, so that no two transactions wait for each other: order rows by id, stock
rows by SKU and warehouse, product revisions by code.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.catalog.events import ProductAnnouncement, announce
from adapters.mysql.clock import now
from adapters.mysql.tables.catalog import variants
from adapters.mysql.tables.stock import stock, stock_movements, stock_rules
from domain.errors import BelowReserved, InvalidRequest, NotFound
from domain.fulfilment import Demand, refuse_shortage, summed
from domain.stock import EFFECTS, MovementKind, Standing, StockRule, flips

Place = tuple[str, str]  # SKU, warehouse
MOST_ON_HAND = 1_000_000_000


@dataclass(frozen=True)
class Cause:
    """Why units move: who did it, for which order, and what they say about it."""

    actor: str
    order_id: str | None = None
    reason: str | None = None
    movement_key: str | None = None


@dataclass
class _Level:
    on_hand: int = 0
    reserved: int = 0
    is_new: bool = True
    has_changed: bool = False


class StockSheet:
    """The stock of some SKUs, held by one transaction. Made by `stock_sheet`, which writes it when the block ends."""

    def __init__(self, connection: sa.Connection, skus: Collection[str]) -> None:
        self._connection = connection
        self._levels: dict[str, dict[str, _Level]] = {sku: defaultdict(_Level) for sku in skus}
        for row in _lock(connection, sorted(set(skus))):
            self._levels[row.sku][row.warehouse] = _Level(row.on_hand, row.reserved, is_new=False)
        self._product: dict[str, str] = {}
        self._rules: dict[str, StockRule] = {}
        for row in connection.execute(_of_skus(skus)):
            self._product[row.sku] = row.product
            self._rules[row.sku] = StockRule(bool(row.backorderable), row.low_stock_at or 0)
        if unknown := sorted(set(skus) - self._product.keys()):
            errors = [{"pointer": "path/sku", "code": "unknown_sku"}]
            raise NotFound(f"There is no SKU {', '.join(unknown)}.", errors=errors, skus=unknown)
        self._before = {sku: self.standing(sku) for sku in self._product}
        self._entries: list[dict[str, Any]] = []

    def standing(self, sku: str) -> Standing:
        """How the SKU stands, with what has been moved so far."""
        levels = self._levels[sku].values()
        return Standing(sum(level.on_hand - level.reserved for level in levels), self._rules[sku])

    def free(self, sku: str, warehouse: str) -> int:
        """Units in this warehouse that nobody has reserved."""
        level = self._levels[sku][warehouse]
        return level.on_hand - level.reserved

    def available(self, houses: Collection[str]) -> dict[str, dict[str, int]]:
        """Units that nobody has reserved, by warehouse and SKU; the warehouses in the order given."""
        found: dict[str, dict[str, int]] = {house: {} for house in houses}
        for sku, levels in self._levels.items():
            for house in levels:
                found[house][sku] = self.free(sku, house)
        return found

    @property
    def backorderable(self) -> set[str]:
        """The SKUs that may be sold beyond what is there."""
        return {sku for sku, rule in self._rules.items() if rule.backorderable}

    def set_rule(self, sku: str, rule: StockRule) -> None:
        """Change what the shop wants of the SKU."""
        self._rules[sku] = rule
        values = {"backorderable": rule.backorderable, "low_stock_at": rule.low_stock_at}
        statement = mysql_insert(stock_rules).values(sku=sku, **values)
        self._connection.execute(statement.on_duplicate_key_update(values))

    def move(self, kind: MovementKind, place: Place, quantity: int, cause: Cause) -> None:
        """Move so many units; 0 is nothing.

        Raises BelowReserved when less would be left than is promised, InvalidRequest when no warehouse is that large.
        """
        if quantity == 0:
            return
        sku, house = place
        level = self._levels[sku][house]
        on_hand, reserved = EFFECTS[kind]
        if kind is MovementKind.ADJUSTED and level.on_hand + quantity < level.reserved:
            raise BelowReserved(
                f"{level.reserved} of {level.on_hand} unit(s) are promised to orders.",
                on_hand=level.on_hand,
                reserved=level.reserved,
            )
        if level.on_hand + on_hand * quantity > MOST_ON_HAND:
            raise InvalidRequest(f"A warehouse has at most {MOST_ON_HAND} units of a SKU.")
        level.on_hand += on_hand * quantity
        level.reserved += reserved * quantity
        level.has_changed = True
        self._entries.append(
            {
                "sku": sku,
                "warehouse": house,
                "kind": kind,
                "quantity": quantity,
                "order_id": cause.order_id,
                "reason": cause.reason,
                "actor": cause.actor,
                "movement_key": cause.movement_key,
                "occurred_at": now(),
            }
        )

    def write(self) -> None:
        """Write the balances, the ledger and, last, the events of what flipped."""
        for sku in sorted(self._levels):
            for house, level in sorted(self._levels[sku].items(), key=itemgetter(0)):
                if level.has_changed:
                    self._write_level(sku, house, level)
        if self._entries:
            self._connection.execute(sa.insert(stock_movements), self._entries)
        news = []
        for sku, before in self._before.items():
            after = self.standing(sku)
            told = {"sku": sku, "available": after.available, "low_stock_at": after.rule.low_stock_at}
            news += [ProductAnnouncement(self._product[sku], type, told) for type in flips(before, after)]  # noqa: A001
        announce(self._connection, news)

    def _write_level(self, sku: str, house: str, level: _Level) -> None:
        values = {"on_hand": level.on_hand, "reserved": level.reserved}
        if level.is_new:
            self._connection.execute(sa.insert(stock).values(sku=sku, warehouse=house, **values))
        else:
            this = sa.and_(stock.c.sku == sku, stock.c.warehouse == house)
            self._connection.execute(sa.update(stock).where(this).values(**values))


@contextmanager
def stock_sheet(connection: sa.Connection, skus: Collection[str]) -> Iterator[StockSheet]:
    """Hold all rows of the SKUs; what the block moves is written when it ends, so let it be the transaction's last.

    Raises NotFound for a SKU that the catalog does not have.
    """
    sheet = StockSheet(connection, skus)
    yield sheet
    sheet.write()


def check_shortage(connection: sa.Connection, demands: Sequence[Demand], *, unless_partly: bool = False) -> None:
    """Raise OutOfStock when so much cannot be had at this moment: a look that holds nothing and promises nothing.

    With `unless_partly` only when nothing of it can be had.
    """
    wanted = summed(demands)
    rows = connection.execute(
        sa.select(variants.c.sku, stock_rules.c.backorderable, sa.func.sum(stock.c.on_hand - stock.c.reserved))
        .select_from(variants.outerjoin(stock_rules, stock_rules.c.sku == variants.c.sku))
        .outerjoin(stock, stock.c.sku == variants.c.sku)
        .where(variants.c.sku.in_(wanted))
        .group_by(variants.c.sku, stock_rules.c.backorderable)
    ).all()
    totals = {sku: int(units or 0) for sku, _, units in rows}
    late = {sku for sku, backorderable, _ in rows if backorderable}
    refuse_shortage(wanted, totals, late, unless_partly=unless_partly)


def _lock(connection: sa.Connection, skus: Sequence[str]) -> Sequence[sa.Row[Any]]:
    """All rows of the SKUs, in key order. A SKU that has none yet is held by its variant instead, or two transactions
    could each make its first row without seeing the other's.
    """
    query = sa.select(stock).where(stock.c.sku.in_(skus)).order_by(stock.c.sku, stock.c.warehouse).with_for_update()
    rows = connection.execute(query).all()
    bare = sorted(set(skus) - {row.sku for row in rows})
    if not bare:
        return rows
    held = sa.select(variants.c.sku).where(variants.c.sku.in_(bare)).order_by(variants.c.sku).with_for_update()
    connection.execute(held).all()
    return connection.execute(query).all()


def _of_skus(skus: Collection[str]) -> sa.Select[Any]:
    rules = variants.outerjoin(stock_rules, stock_rules.c.sku == variants.c.sku)
    return (
        sa.select(variants.c.sku, variants.c.product, stock_rules.c.backorderable, stock_rules.c.low_stock_at)
        .select_from(rules)
        .where(variants.c.sku.in_(skus))
    )
