"""Taking cancelled units out of a parcel: less to ship, a smaller share of the total, and the stock is released."""

from collections import Counter

import sqlalchemy as sa

from adapters.mysql.clock import now
from adapters.mysql.history import Change, append, lock_orders, recorded
from adapters.mysql.orders import views
from adapters.mysql.orders.backorders import active_lines, allocate_backorders, orders_waiting
from adapters.mysql.orders.order_rows import line_rows, parcel_row, this_parcel
from adapters.mysql.orders.reservations import release_units
from adapters.mysql.orders.stock_ledger import Cause, Place, stock_sheet
from adapters.mysql.tables.orders import orders, parcels
from domain.errors import IllegalMove
from domain.events import EventType
from domain.fulfilment import ParcelStatus
from domain.parcels import Goods
from schemas.base import Money
from schemas.checkout import units_of
from schemas.fulfilment import ParcelReduced, ReduceParcel


def reduce_parcel(connection: sa.Connection, command: ReduceParcel) -> ParcelReduced:
    """Take the units out, in this transaction; a repeat changes nothing. Raises NotFound and IllegalMove."""
    order_id, units = command.order_id, units_of(command.lines)
    lines = [line for line in active_lines(connection, order_id, command.number) if line.sku in units]
    freed = Counter[Place]({(line.sku, line.warehouse): line.freed_by(units[line.sku]) for line in lines})
    locked = lock_orders(connection, {order_id, *orders_waiting(connection, freed, exclude=order_id)})
    row = parcel_row(connection, order_id, command.number)
    step = f"reduce-{command.number}:{command.step}"
    if recorded(connection, order_id, step) is not None:
        return ParcelReduced(plan=views.parcel_plan(row))
    if not ParcelStatus(row.status).is_without_booking:
        message = f"Parcel {row.number} is {row.status}: nothing can be taken out of it."
        raise IllegalMove(message, parcel=row.number, current=row.status)
    before = views.parcel_plan(row)
    after = before.without(units, _goods(connection, order_id))
    values = after.model_dump(include={"lines", "amount", "weight_grams"})
    this = this_parcel(order_id, command.number)
    connection.execute(sa.update(parcels).where(this).values(**values, updated_at=now()))
    lines = [line for line in active_lines(connection, order_id, command.number) if line.sku in units]
    with stock_sheet(connection, units) as sheet:
        cause = Cause(command.actor, order_id, command.reason)
        left = after.contents
        # Of units that were missing when the parcel was picked nothing is reserved any more.
        spare = [(line, max(0, line.quantity - left[line.sku])) for line in lines]
        released = sum(release_units(connection, sheet, line, too_many, cause) for line, too_many in spare)
        data = {
            "parcel": command.number,
            "lines": [line.model_dump() for line in command.lines],
            "not_charged": _money(connection, order_id, before.amount - after.amount),
            "units": released,
            "reason": command.reason,
        }
        append(connection, locked[order_id], Change(step, EventType.PARCEL_REDUCED, command.actor, data))
        allocated = allocate_backorders(connection, sheet, locked, freed.keys())
    return ParcelReduced(plan=after, allocated=allocated)


def _goods(connection: sa.Connection, order_id: str) -> dict[str, Goods]:
    return {row.sku: Goods(row.unit_price, row.weight_grams) for row in line_rows(connection, order_id)}


def _money(connection: sa.Connection, order_id: str, amount: int) -> dict[str, object]:
    currency = connection.scalar(sa.select(orders.c.currency).where(orders.c.id == order_id))
    return Money(amount=amount, currency=str(currency)).model_dump()
