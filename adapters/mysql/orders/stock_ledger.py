"""The one way stock changes: lock a SKU's rows, move units, write balances and ledger rows together, announce changes.

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
    """Why units move: the actor, the order, and the reason given."""

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
    """The stock of some SKUs, locked by one transaction. Made by `stock_sheet`, which writes it when the block ends."""

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
        """The SKU's stock and rule, with what has been moved so far."""
        levels = self._levels[sku].values()
        return Standing(sum(level.on_hand - level.reserved for level in levels), self._rules[sku])

    def free(self, sku: str, warehouse: str) -> int:
        """Units in this warehouse that nobody has reserved."""
        level = self._levels[sku][warehouse]
        return level.on_hand - level.reserved

    def available(self, warehouses: Collection[str]) -> dict[str, dict[str, int]]:
        """Units that nobody has reserved, by warehouse and SKU; the warehouses in the order given."""
        found: dict[str, dict[str, int]] = {warehouse: {} for warehouse in warehouses}
        for sku, levels in self._levels.items():
            for warehouse in levels:
                found[warehouse][sku] = self.free(sku, warehouse)
        return found

    @property
    def backorderable(self) -> set[str]:
        """The SKUs that may be sold beyond their stock."""
        return {sku for sku, rule in self._rules.items() if rule.backorderable}

    def set_rule(self, sku: str, rule: StockRule) -> None:
        """Change the SKU's rule."""
        self._rules[sku] = rule
        values = {"backorderable": rule.backorderable, "low_stock_at": rule.low_stock_at}
        statement = mysql_insert(stock_rules).values(sku=sku, **values)
        self._connection.execute(statement.on_duplicate_key_update(values))

    def move(self, kind: MovementKind, place: Place, quantity: int, cause: Cause) -> None:
        """Move so many units; 0 is nothing.

        Raises BelowReserved when less would be left than is reserved, InvalidRequest above the largest stock.
        """
        if quantity == 0:
            return
        sku, warehouse = place
        level = self._levels[sku][warehouse]
        on_hand, reserved = EFFECTS[kind]
        if kind is MovementKind.ADJUSTED and level.on_hand + quantity < level.reserved:
            raise BelowReserved(
                f"{level.reserved} of {level.on_hand} unit(s) are reserved for orders.",
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
                "warehouse": warehouse,
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
            for warehouse, level in sorted(self._levels[sku].items(), key=itemgetter(0)):
                if level.has_changed:
                    self._write_level(sku, warehouse, level)
        if self._entries:
            self._connection.execute(sa.insert(stock_movements), self._entries)
        announcements = []
        for sku, before in self._before.items():
            after = self.standing(sku)
            data = {"sku": sku, "available": after.available, "low_stock_at": after.rule.low_stock_at}
            announcements += [ProductAnnouncement(self._product[sku], event, data) for event in flips(before, after)]
        announce(self._connection, announcements)

    def _write_level(self, sku: str, warehouse: str, level: _Level) -> None:
        values = {"on_hand": level.on_hand, "reserved": level.reserved}
        if level.is_new:
            self._connection.execute(sa.insert(stock).values(sku=sku, warehouse=warehouse, **values))
        else:
            this = sa.and_(stock.c.sku == sku, stock.c.warehouse == warehouse)
            self._connection.execute(sa.update(stock).where(this).values(**values))


@contextmanager
def stock_sheet(connection: sa.Connection, skus: Collection[str]) -> Iterator[StockSheet]:
    """Lock all rows of the SKUs; what the block moves is written when it ends, so let it be the transaction's last.

    Raises NotFound for a SKU that the catalog does not have.
    """
    sheet = StockSheet(connection, skus)
    yield sheet
    sheet.write()


def check_shortage(connection: sa.Connection, demands: Sequence[Demand], *, unless_partly: bool = False) -> None:
    """Raise OutOfStock when the demands cannot be met at this moment; locks and reserves nothing.

    With `unless_partly` only when no part of them can be met.
    """
    units = summed(demands)
    rows = connection.execute(
        sa.select(variants.c.sku, stock_rules.c.backorderable, sa.func.sum(stock.c.on_hand - stock.c.reserved))
        .select_from(variants.outerjoin(stock_rules, stock_rules.c.sku == variants.c.sku))
        .outerjoin(stock, stock.c.sku == variants.c.sku)
        .where(variants.c.sku.in_(units))
        .group_by(variants.c.sku, stock_rules.c.backorderable)
    ).all()
    totals = {sku: int(available or 0) for sku, _, available in rows}
    backorderables = {sku for sku, backorderable, _ in rows if backorderable}
    refuse_shortage(units, totals, backorderables, unless_partly=unless_partly)


def _lock(connection: sa.Connection, skus: Sequence[str]) -> Sequence[sa.Row[Any]]:
    """All rows of the SKUs, in key order. A SKU that has none yet is locked by its variant instead, or two
    transactions could each insert its first row without seeing the other's.
    """
    query = sa.select(stock).where(stock.c.sku.in_(skus)).order_by(stock.c.sku, stock.c.warehouse).with_for_update()
    rows = connection.execute(query).all()
    without = sorted(set(skus) - {row.sku for row in rows})
    if not without:
        return rows
    lock = sa.select(variants.c.sku).where(variants.c.sku.in_(without)).order_by(variants.c.sku).with_for_update()
    connection.execute(lock).all()
    return connection.execute(query).all()


def _of_skus(skus: Collection[str]) -> sa.Select[Any]:
    rules = variants.outerjoin(stock_rules, stock_rules.c.sku == variants.c.sku)
    return (
        sa.select(variants.c.sku, variants.c.product, stock_rules.c.backorderable, stock_rules.c.low_stock_at)
        .select_from(rules)
        .where(variants.c.sku.in_(skus))
    )
