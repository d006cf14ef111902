"""Taking what is available: an order with a shortage is reduced to what was in stock, the rest is released."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import now
from adapters.mysql.history import Change, append, lock_orders, recorded
from adapters.mysql.orders.backorders import Line, active_lines, allocate_backorders, orders_waiting
from adapters.mysql.orders.placing import insert_lines, sums_of
from adapters.mysql.orders.reservations import drop
from adapters.mysql.orders.stock_ledger import Cause, Place, stock_sheet
from adapters.mysql.orders.vouchers import release_use
from adapters.mysql.tables.orders import order_lines, orders, parcels
from domain.events import EventType
from domain.fulfilment import Demand
from domain.orders import OrderStatus
from domain.parcels import shares
from schemas.checkout import PricedOrder
from schemas.orders import TakeAvailable
from schemas.stock import StockAllocated

STEP = "take-available"


def take_available(connection: sa.Connection, command: TakeAvailable) -> list[StockAllocated]:
    """Reduce the order to the smaller quote, in this transaction; a repeat changes nothing.

    Answers the parcels of other orders that are completely allocated now.
    """
    order_id, quote = command.order_id, command.quote
    missing = {line.sku for line in command.short}
    lines = _backordered_lines(connection, order_id, missing)
    freed = Counter[Place]()
    for line in lines:
        freed[line.sku, line.warehouse] += line.allocated
    locked_orders = lock_orders(connection, {order_id, *orders_waiting(connection, freed, exclude=order_id)})
    if recorded(connection, order_id, STEP) is not None:
        return []
    lines = _backordered_lines(connection, order_id, missing)
    dropped = [{"sku": line.sku, "quantity": line.quantity} for line in lines]
    with stock_sheet(connection, missing) as sheet:
        drop(connection, sheet, lines, Cause(command.actor, order_id, "the customer takes what is available"))
        _write_quote(connection, order_id, quote)
        _shrink_parcels(connection, order_id, quote, missing)
        data = {"decision": STEP.replace("-", "_"), "dropped": dropped, "total": quote.total_money.model_dump()}
        change = Change(STEP, EventType.ORDER_DECIDED, command.actor, data, status=OrderStatus.PENDING)
        append(connection, locked_orders[order_id], change)
        return allocate_backorders(connection, sheet, locked_orders, freed.keys())


def _backordered_lines(connection: sa.Connection, order_id: str, missing: set[str]) -> list[Line]:
    """What is reserved or backordered of what was missing; some of it may have been allocated meanwhile."""
    backordered = {
        (row.number, line["sku"])
        for row in connection.execute(sa.select(parcels).where(parcels.c.order_id == order_id))
        for line in row.lines
        if line["backordered"] and line["sku"] in missing
    }
    return [line for line in active_lines(connection, order_id) if (line.parcel, line.sku) in backordered]


def _write_quote(connection: sa.Connection, order_id: str, quote: PricedOrder) -> None:
    connection.execute(sa.delete(order_lines).where(order_lines.c.order_id == order_id))
    insert_lines(connection, order_id, quote)
    connection.execute(sa.update(orders).where(orders.c.id == order_id).values(**sums_of(quote), updated_at=now()))
    if quote.voucher_code is None:
        release_use(connection, order_id)


def _shrink_parcels(connection: sa.Connection, order_id: str, quote: PricedOrder, missing: set[str]) -> None:
    """Reduce each parcel to what is left, with its share of the smaller total; empty ones are deleted."""
    query = sa.select(parcels).where(parcels.c.order_id == order_id).order_by(parcels.c.number)
    left: dict[int, list[Mapping[str, Any]]] = {
        row.number: [line for line in row.lines if not (line["backordered"] and line["sku"] in missing)]
        for row in connection.execute(query)
    }
    kept = {number: lines for number, lines in left.items() if lines}
    contents = [[Demand(line["sku"], line["quantity"]) for line in lines] for lines in kept.values()]
    empty: Sequence[int] = [number for number in left if number not in kept]
    connection.execute(sa.delete(parcels).where(parcels.c.order_id == order_id, parcels.c.number.in_(empty)))
    for (number, lines), share in zip(kept.items(), shares(contents, quote.goods, quote.total), strict=True):
        this = sa.and_(parcels.c.order_id == order_id, parcels.c.number == number)
        values = {"lines": lines, "amount": share.amount, "weight_grams": share.weight_grams, "updated_at": now()}
        connection.execute(sa.update(parcels).where(this).values(values))
