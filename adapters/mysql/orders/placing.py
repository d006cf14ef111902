"""Placing an order: the order, its parcels, its stock and the use of its voucher, in one transaction or not at all."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import now
from adapters.mysql.history import Change, LockedOrder, append
from adapters.mysql.orders.reservations import reserve_parcels
from adapters.mysql.orders.stock import warehouses_by_code
from adapters.mysql.orders.stock_ledger import check_shortage, stock_sheet
from adapters.mysql.orders.vouchers import take_use
from adapters.mysql.tables.orders import order_lines, orders, parcels
from domain.actors import SYSTEM_ACTOR, customer_actor
from domain.events import EventType
from domain.fulfilment import (
    Demand,
    ParcelStatus,
    Shortage,
    allocate,
    everywhere,
    refuse_shortage,
    summed,
)
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from domain.parcels import plan_parcels
from schemas.base import Money
from schemas.checkout import CheckoutInput, OnShortage, PricedOrder
from schemas.orders import PlaceOrder
from schemas.parcels import ParcelPlan

RESERVED_STEP = "reserve-stock"


def place(connection: sa.Connection, command: PlaceOrder, reserved_for: timedelta) -> None:
    """Place the order in this transaction; raises OutOfStock, VoucherRefused.

    When the customer is to decide about a shortage, what is missing is backordered until they have decided.
    """
    order, quote = command.order, command.quote
    asking = order.on_shortage is OnShortage.ASK
    demands = [Demand(line.sku, line.quantity) for line in order.lines]
    # Most orders for what is sold out are refused here, before they have written or locked anything.
    check_shortage(connection, demands, unless_partly=asking)
    shipping_from = warehouses_by_code(connection)
    _insert_order(connection, order, quote)
    with stock_sheet(connection, {demand.sku for demand in demands}) as sheet:
        available, backorderable = sheet.available(shipping_from), sheet.backorderable
        short = refuse_shortage(summed(demands), everywhere(available), backorderable, unless_partly=asking)
        allocations = allocate(demands, available, backorderable | {shortage.sku for shortage in short})
        plans = [
            ParcelPlan.of(parcel, shipping_from[parcel.warehouse])
            for parcel in plan_parcels(allocations, quote.goods, quote.total)
        ]
        reserve_parcels(connection, sheet, order.order_id, plans, reserved_for)
        insert_parcels(connection, order.order_id, plans)
        if quote.voucher_code:
            take_use(connection, quote.voucher_code, order.order_id, order.customer_id)
        _append_placed(connection, order, quote, plans, short)


def _insert_order(connection: sa.Connection, order: CheckoutInput, quote: PricedOrder) -> None:
    moment = now()
    connection.execute(
        sa.insert(orders).values(
            id=order.order_id,
            customer_id=order.customer_id,
            email=order.email,
            status=OrderStatus.PENDING,
            payment_status=PaymentStatus.NOT_PAID,
            fulfilment_status=FulfilmentStatus.UNFULFILLED,
            **sums_of(quote),
            cart_id=order.cart_id,
            cart_version=order.cart_version,
            cart_claim=f"{order.cart_id}:{order.cart_version}",
            shipping_address=order.shipping_address.model_dump(mode="json"),
            shipping_method=order.shipping_method,
            created_at=moment,
            updated_at=moment,
        )
    )
    insert_lines(connection, order.order_id, quote)


def sums_of(quote: PricedOrder) -> dict[str, Any]:
    """The quote's sums as an order's row has them."""
    return quote.model_dump(exclude={"lines"})


def insert_lines(connection: sa.Connection, order_id: str, quote: PricedOrder) -> None:
    """Write the order's lines as they were priced."""
    rows = [
        {"order_id": order_id, "position": position, **line.model_dump()}
        for position, line in enumerate(quote.lines, start=1)
    ]
    connection.execute(sa.insert(order_lines), rows)


def insert_parcels(connection: sa.Connection, order_id: str, plans: Sequence[ParcelPlan]) -> None:
    """Write the order's parcels as they are planned."""
    moment = now()
    rows: list[dict[str, Any]] = [
        {
            "order_id": order_id,
            **plan.model_dump(mode="json", exclude={"country"}),
            "status": ParcelStatus.PLANNED,
            "created_at": moment,
            "updated_at": moment,
        }
        for plan in plans
    ]
    connection.execute(sa.insert(parcels), rows)


def _append_placed(
    connection: sa.Connection,
    order: CheckoutInput,
    quote: PricedOrder,
    plans: Sequence[ParcelPlan],
    short: Sequence[Shortage],
) -> None:
    actor = customer_actor(order.customer_id)
    backordered = Counter[str]()
    for planned in (line for plan in plans for line in plan.lines):
        backordered[planned.sku] += planned.backordered
    waiting = [{"sku": line.sku, "quantity": units} for line in quote.lines if (units := backordered[line.sku])]
    missing: dict[str, object] = {"backordered": waiting} if waiting else {}
    if short:
        missing["short"] = [asdict(shortage) for shortage in short]
    data: dict[str, object] = {"total": quote.total_money.model_dump(), "lines": len(quote.lines)}
    if quote.voucher_code:
        off = Money(amount=quote.discount, currency=quote.currency)
        data |= {"discount": off.model_dump(), "voucher_code": quote.voucher_code}
    fresh = LockedOrder(
        order.order_id, OrderStatus.PENDING, PaymentStatus.NOT_PAID, FulfilmentStatus.UNFULFILLED, last_seq=0
    )
    append(connection, fresh, Change("place", EventType.ORDER_PLACED, actor, data | missing))
    warehouses = list(dict.fromkeys(plan.warehouse for plan in plans))
    append(
        connection,
        LockedOrder(fresh.id, fresh.status, fresh.payment_status, fresh.fulfilment_status, last_seq=1),
        Change(RESERVED_STEP, EventType.ORDER_STOCK_RESERVED, SYSTEM_ACTOR, {"warehouses": warehouses, **missing}),
    )
