"""Shipping a parcel again: another with the same goods, reserved from stock, that carries nothing of the total."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from adapters.mysql.orders.order_rows import PLANNED_PARCELS
from adapters.mysql.orders.placing import insert_parcels
from adapters.mysql.orders.promises import promise_replacement
from adapters.mysql.orders.reservations import reserve_another
from adapters.mysql.orders.stock import warehouses_by_code
from adapters.mysql.orders.stock_ledger import StockSheet
from adapters.mysql.orders.views import parcel_plan
from adapters.mysql.payments.parcel_shares import check_not_refunded
from adapters.mysql.tables.orders import orders, parcels
from domain.errors import IllegalMove
from domain.fulfilment import ParcelStatus
from domain.orders import NOT_DELIVERED, SOLD_STATUSES, OrderStatus
from domain.replacements import warehouse_with_all
from schemas.base import Address
from schemas.fulfilment import FulfilmentInput
from schemas.parcels import ParcelLine, ParcelPlan


def check_may_replace(connection: sa.Connection, order_id: str, parcel: int) -> None:
    """Raise IllegalMove for an order that is being stopped, or of which something else became, and what
    `check_not_refunded` raises. The caller holds the order's lock.
    """
    row = connection.execute(sa.select(orders.c.status, orders.c.failure_code).where(orders.c.id == order_id)).one()
    failed = row.status == OrderStatus.FAILED and row.failure_code == NOT_DELIVERED
    if not (failed or row.status in SOLD_STATUSES):
        raise IllegalMove(f"Nothing is shipped again of an order that is {row.status}.", current=row.status)
    check_not_refunded(connection, order_id, parcel)


def plan_replacement(
    connection: sa.Connection, sheet: StockSheet, parcel: sa.Row[Any], reserved_for: timedelta
) -> ParcelPlan:
    """Plan a parcel with the same goods, and reserve them; the caller holds the order's lock.

    They come from the same warehouse or another that has them all; raises InsufficientStock when none has.
    """
    order_id, units = parcel.order_id, parcel_plan(parcel).contents
    shipping_from = warehouses_by_code(connection)
    warehouse = warehouse_with_all(units, sheet.available(shipping_from), parcel.warehouse)
    highest = sa.select(sa.func.max(parcels.c.number)).where(parcels.c.order_id == order_id)
    plan = ParcelPlan(
        number=int(connection.scalar(highest) or 0) + 1,
        warehouse=warehouse,
        country=shipping_from[warehouse].country,
        lines=[ParcelLine(sku=sku, quantity=quantity) for sku, quantity in units.items()],
        amount=0,
        weight_grams=parcel.weight_grams,
        replaces=parcel.number,
    )
    insert_parcels(connection, order_id, [plan])
    reserve_another(connection, sheet, order_id, plan, reserved_for)
    promise_replacement(connection, order_id, plan.number)
    return plan


def replacement_job(connection: sa.Connection, order_id: str, parcel: int, *, adopt: bool) -> FulfilmentInput | None:
    """What the workflow of the parcel that is shipped in the place of this one is started with; None once it has come
    to its end.
    """
    replaces = sa.and_(parcels.c.order_id == order_id, parcels.c.replaces == parcel)
    row = connection.execute(PLANNED_PARCELS.where(replaces)).one()
    if ParcelStatus(row.status).is_final:
        return None
    order = connection.execute(sa.select(orders).where(orders.c.id == order_id)).one()
    return FulfilmentInput(
        order_id=order_id,
        parcel=parcel_plan(row),
        parcels_in_order=row.number,
        address=Address.model_validate(order.shipping_address),
        shipping_method=order.shipping_method,
        adopt=adopt,
    )
