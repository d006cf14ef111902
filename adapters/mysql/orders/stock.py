"""Stock: levels, movements, the rules of a SKU, and deliveries, which are allocated to backorders first."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.clock import aware
from adapters.mysql.constraints import violated_key
from adapters.mysql.history import lock_orders
from adapters.mysql.orders.backorders import allocate_backorders, orders_waiting
from adapters.mysql.orders.stock_ledger import Cause, Place, check_shortage, stock_sheet
from adapters.mysql.tables.catalog import variants
from adapters.mysql.tables.stock import ACTIVE, reservation_lines, stock, stock_movements, stock_rules, warehouses
from adapters.mysql.transactions import in_transaction
from domain.errors import (
    Fault,
    IdempotencyMismatch,
    InvalidFields,
    InvalidRequest,
    MoreThanShipped,
    NotFound,
    UnknownReservation,
)
from domain.fulfilment import Demand
from domain.stock import MovementKind, StockRule
from schemas.stock import (
    ChangeWarehouse,
    Movement,
    MovementPage,
    MovementPosted,
    NewMovement,
    SetStockRules,
    SkuStock,
    StockAllocated,
    StockLevel,
    StockRules,
    StockTotals,
    Warehouse,
)

_SAME_MOVEMENT = "uq_stock_movements_movement_key"


@dataclass(frozen=True)
class Poster:
    """Who posts a movement, and under which Idempotency-Key."""

    actor: str
    movement_key: str


class Stock:
    """Warehouses, stock levels and their movements."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def ensure_warehouses(self, definitions: Sequence[tuple[str, str, str, int]]) -> None:
        """Create or update these warehouses: code, name, country, preference (the lowest ships first)."""
        with self._engine.begin() as connection:
            for code, name, country, preference in definitions:
                statement = mysql_insert(warehouses).values(
                    code=code, name=name, country=country, preference=preference
                )
                connection.execute(statement.on_duplicate_key_update(name=name, country=country, preference=preference))

    def warehouses(self) -> list[Warehouse]:
        """All of them, the preferred one first."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(warehouses).order_by(warehouses.c.preference, warehouses.c.code))
            return [_warehouse(row) for row in rows]

    def change_warehouse(self, code: str, changes: ChangeWarehouse) -> Warehouse:
        """Have its parcels wait for their pick, or not, from the next order on; raises NotFound."""
        this = warehouses.c.code == code
        with self._engine.begin() as connection:
            connection.execute(sa.update(warehouses).where(this).values(pick_required=changes.pick_required))
            row = connection.execute(sa.select(warehouses).where(this)).one_or_none()
        if row is None:
            raise NotFound(f"There is no warehouse {code}.")
        return _warehouse(row)

    def receive(self, lines: Sequence[tuple[str, str, int]], actor: str, reason: str) -> list[StockAllocated]:
        """Add units that arrived: (SKU, warehouse, quantity ≥ 1) each. Not repeat-safe: a delivery arrives once.

        Answers the parcels that are completely allocated now: the caller signals their workflows, or they check later.
        """
        if any(quantity < 1 for _, _, quantity in lines):
            raise InvalidRequest("A delivery has at least one unit of each SKU.")
        received = Counter[Place]()
        for sku, warehouse, quantity in lines:
            received[sku, warehouse] += quantity

        def act(connection: sa.Connection) -> list[StockAllocated]:
            orders = lock_orders(connection, orders_waiting(connection, received))
            with stock_sheet(connection, {sku for sku, _ in received}) as sheet:
                for place, quantity in sorted(received.items()):
                    sheet.move(MovementKind.RECEIVED, place, quantity, Cause(actor, reason=reason))
                return allocate_backorders(connection, sheet, orders, received.keys())

        return in_transaction(self._engine, act)

    def post(self, sku: str, movement: NewMovement, poster: Poster) -> MovementPosted:
        """Move units once per key; a repeat answers the row that was written and moves nothing.

        Raises NotFound for an unknown SKU, InvalidFields for an unknown warehouse, BelowReserved, UnknownReservation
        and MoreThanShipped for what did not go out to the order, IdempotencyMismatch when the key moved something else.
        """
        if (before := self._posted(poster.movement_key)) is not None:
            return _repeated(before, sku, movement)
        try:
            allocated = in_transaction(self._engine, lambda connection: _post(connection, sku, movement, poster))
        except sa.exc.IntegrityError as error:
            if violated_key(error) != _SAME_MOVEMENT or (before := self._posted(poster.movement_key)) is None:
                raise
            return _repeated(before, sku, movement)
        done = self._posted(poster.movement_key)
        assert done is not None
        return MovementPosted(movement=done, allocated=allocated)

    def set_rules(self, sku: str, changes: SetStockRules) -> None:
        """Change the SKU's rules that are given; raises NotFound for an unknown SKU."""

        def act(connection: sa.Connection) -> None:
            with stock_sheet(connection, [sku]) as sheet:
                before = sheet.standing(sku).rule
                backorderable = before.backorderable if changes.backorderable is None else changes.backorderable
                low_stock_at = before.low_stock_at if changes.low_stock_at is None else changes.low_stock_at
                sheet.set_rule(sku, StockRule(backorderable, low_stock_at))

        in_transaction(self._engine, act)

    def overview(self, sku: str) -> SkuStock | None:
        """The SKU in every warehouse, in sum, and its rules; None when the catalog does not have it."""
        with self._engine.connect() as connection:
            if connection.scalar(sa.select(variants.c.sku).where(variants.c.sku == sku)) is None:
                return None
            rule = connection.execute(sa.select(stock_rules).where(stock_rules.c.sku == sku)).one_or_none()
            levels = _levels(connection, sku)
        totals = {name: sum(getattr(level, name) for level in levels) for name in StockTotals.model_fields}
        rules = StockRules(backorderable=rule.backorderable, low_stock_at=rule.low_stock_at) if rule else StockRules()
        return SkuStock(sku=sku, items=levels, totals=StockTotals(**totals), rules=rules)

    def levels(self, sku: str) -> list[StockLevel]:
        """The stock of one SKU, a row per warehouse."""
        with self._engine.connect() as connection:
            return _levels(connection, sku)

    def movements(self, sku: str, before_id: int | None, limit: int) -> MovementPage:
        """The SKU's ledger, newest first; `next_cursor` is the id to continue before."""
        query = sa.select(stock_movements).where(stock_movements.c.sku == sku)
        if before_id is not None:
            query = query.where(stock_movements.c.id < before_id)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(stock_movements.c.id.desc()).limit(limit + 1)).all()
        cursor = str(rows[limit - 1].id) if len(rows) > limit else None
        return MovementPage(items=[_movement(row) for row in rows[:limit]], next_cursor=cursor)

    def available(self, skus: Iterable[str]) -> dict[str, int]:
        """Units that can be sold now, over all warehouses; a SKU without stock rows is 0."""
        requested = list(skus)
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(stock.c.sku, sa.func.sum(stock.c.on_hand - stock.c.reserved))
                .where(stock.c.sku.in_(requested))
                .group_by(stock.c.sku)
            )
            found = {sku: int(units) for sku, units in rows}
        return {sku: found.get(sku, 0) for sku in requested}

    def backorderable(self, skus: Iterable[str]) -> set[str]:
        """Those of the SKUs that may be sold beyond their stock."""
        with self._engine.connect() as connection:
            query = sa.select(stock_rules.c.sku).where(stock_rules.c.sku.in_(list(skus)), stock_rules.c.backorderable)
            return set(connection.scalars(query))

    def check_shortage(self, demands: Sequence[Demand], *, unless_partly: bool = False) -> None:
        """Raise OutOfStock when the demands, or with `unless_partly` any part of them, cannot be met now."""
        with self._engine.connect() as connection:
            check_shortage(connection, demands, unless_partly=unless_partly)

    def _posted(self, movement_key: str) -> Movement | None:
        with self._engine.connect() as connection:
            query = sa.select(stock_movements).where(stock_movements.c.movement_key == movement_key)
            row = connection.execute(query).one_or_none()
        return None if row is None else _movement(row)


def warehouses_by_code(connection: sa.Connection) -> dict[str, Warehouse]:
    """Every warehouse, the preferred one first."""
    rows = connection.execute(sa.select(warehouses).order_by(warehouses.c.preference))
    return {row.code: _warehouse(row) for row in rows}


def _post(connection: sa.Connection, sku: str, movement: NewMovement, poster: Poster) -> list[StockAllocated]:
    place, units = (sku, movement.warehouse), movement.quantity
    if movement.warehouse not in warehouses_by_code(connection):
        detail = f"There is no warehouse {movement.warehouse}."
        raise InvalidFields([Fault(pointer="warehouse", code="unknown_warehouse", detail=detail)])
    returned = {movement.order_id} if movement.order_id else set()
    try:
        orders = lock_orders(connection, orders_waiting(connection, {place: units}) | returned)
    except NotFound:
        raise _never_shipped(sku, movement.order_id) from None
    cause = Cause(poster.actor, movement.order_id, movement.reason, poster.movement_key)
    with stock_sheet(connection, [sku]) as sheet:
        if movement.order_id:
            _check_return(connection, sku, units, movement.order_id)
        sheet.move(MovementKind(movement.kind), place, units, cause)
        return allocate_backorders(connection, sheet, orders, [place])


def _check_return(connection: sa.Connection, sku: str, units: int, order_id: str) -> None:
    """Only what was shipped to the order can be restocked from it, once; its row is locked against other returns."""
    shipped = sa.select(reservation_lines.c.sku).where(
        reservation_lines.c.order_id == order_id, reservation_lines.c.sku == sku
    )
    if connection.execute(shipped).first() is None:
        raise _never_shipped(sku, order_id)
    returnable = units_to_return(connection, sku, order_id)
    if units > returnable:
        detail = f"{returnable} unit(s) of {sku} can come back from this order."
        raise MoreThanShipped(detail, returnable=returnable, errors=_fault("quantity", MoreThanShipped.code, detail))


def units_to_return(connection: sa.Connection, sku: str, order_id: str) -> int:
    """Units that were shipped to the order and have not come back; its row is locked against other returns."""
    rows = connection.execute(
        sa.select(stock_movements.c.kind, sa.func.sum(stock_movements.c.quantity))
        .where(stock_movements.c.order_id == order_id, stock_movements.c.sku == sku)
        .group_by(stock_movements.c.kind)
    )
    sums = {kind: int(total) for kind, total in rows}
    return sums.get(MovementKind.SHIPPED, 0) - sums.get(MovementKind.RESTOCKED, 0)


def _never_shipped(sku: str, order_id: str | None) -> UnknownReservation:
    detail = f"The order never had {sku}."
    errors = _fault("order_id", UnknownReservation.code, detail)
    return UnknownReservation(detail, order_id=order_id, sku=sku, errors=errors)


def _fault(field: str, code: str, detail: str) -> list[dict[str, object]]:
    return [{"pointer": f"body/{field}", "code": code, "detail": detail}]


def _repeated(before: Movement, sku: str, movement: NewMovement) -> MovementPosted:
    requested = {"sku": sku, **movement.model_dump()}
    if before.model_dump(include=set(requested)) != requested:
        raise IdempotencyMismatch("This Idempotency-Key was sent before with another movement.")
    return MovementPosted(movement=before)


def _levels(connection: sa.Connection, sku: str) -> list[StockLevel]:
    waiting = connection.execute(
        sa.select(reservation_lines.c.warehouse, sa.func.sum(reservation_lines.c.backordered))
        .where(reservation_lines.c.sku == sku, reservation_lines.c.state == ACTIVE)
        .group_by(reservation_lines.c.warehouse)
    )
    backordered = {warehouse: int(units) for warehouse, units in waiting if units}
    found = connection.execute(sa.select(stock).where(stock.c.sku == sku))
    on_stock = {row.warehouse: (row.on_hand, row.reserved) for row in found}
    return [
        StockLevel(
            sku=sku,
            warehouse=warehouse,
            on_hand=on_hand,
            reserved=reserved,
            available=on_hand - reserved,
            backordered=backordered.get(warehouse, 0),
        )
        for warehouse in sorted(on_stock.keys() | backordered.keys())
        for on_hand, reserved in [on_stock.get(warehouse, (0, 0))]
    ]


def _warehouse(row: sa.Row[tuple[object, ...]]) -> Warehouse:
    return Warehouse.model_validate(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's documented way


def _movement(row: sa.Row[tuple[object, ...]]) -> Movement:
    return Movement(
        id=row.id,
        sku=row.sku,
        warehouse=row.warehouse,
        kind=row.kind,
        quantity=row.quantity,
        order_id=row.order_id,
        reason=row.reason,
        actor=row.actor,
        occurred_at=aware(row.occurred_at),
    )
