"""Orders: recorded with their stock in one transaction, moved with one event each, read for the customer."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from adapters.mysql import order_views as views
from adapters.mysql.backorders import held
from adapters.mysql.history import Change, LockedOrder, append, lock_order, now, recorded
from adapters.mysql.inventory import warehouse_countries
from adapters.mysql.reservations import HOLD, hold_parcels
from adapters.mysql.stock_ledger import check_shortage, stock_sheet
from adapters.mysql.stock_tables import warehouses
from adapters.mysql.tables import order_events, order_lines, orders, parcels
from adapters.mysql.transactions import in_transaction
from domain.errors import CartChanged
from domain.fulfilment import Allocation, Demand, ParcelStatus, allocate
from domain.money import split
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from schemas.checkout import CheckoutInput, PricedOrder
from schemas.orders import (
    OrderHistory,
    OrderPage,
    OrderPlaced,
    OrderView,
    ParcelLine,
    ParcelPlan,
    PlaceOrder,
    RecordStatus,
    StatusRecorded,
)


class OrderStore:
    """The order service's tables; alone writes orders, their lines, parcels and events."""

    def __init__(self, engine: sa.Engine, hold: timedelta = HOLD) -> None:
        self._engine = engine
        self._hold = hold

    def place(self, command: PlaceOrder) -> OrderPlaced:
        """Record the order with its stock reserved, or neither. A repeat answers what the first attempt did.

        Raises OutOfStock naming what is short, and CartChanged when this version of the cart is ordered already.
        """
        order = command.order
        placed = self._placed(order.order_id)
        if placed is not None:
            return placed
        try:
            in_transaction(self._engine, lambda connection: _place(connection, command, self._hold))
        except IntegrityError:
            placed = self._placed(order.order_id)
            if placed is None:
                raise CartChanged("This cart has been ordered already.", cart_version=order.cart_version) from None
            return placed
        placed = self._placed(order.order_id)
        assert placed is not None
        return placed

    def record_status(self, command: RecordStatus) -> StatusRecorded:
        """Move the order and say so; a repeat of the step answers the first. Raises NotFound, IllegalMove."""
        with self._engine.begin() as connection:
            order = lock_order(connection, command.order_id)
            event = recorded(connection, command.order_id, command.step)
            if event is None:
                change = Change(command.step, command.event_type, command.actor, command.data, status=command.status)
                event = append(connection, order, change)
            return StatusRecorded(event_id=event.event_id, seq=event.seq, status=event.status)

    def get(self, order_id: str) -> OrderView | None:
        """The order in full."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(orders).where(orders.c.id == order_id)).one_or_none()
            if row is None:
                return None
            lines = connection.execute(
                sa.select(order_lines).where(order_lines.c.order_id == order_id).order_by(order_lines.c.position)
            ).all()
            boxes = connection.execute(
                sa.select(parcels).where(parcels.c.order_id == order_id).order_by(parcels.c.number)
            ).all()
            late = {(one.parcel, one.sku): one.backordered for one in held(connection, order_id) if one.backordered}
        return views.order_view(row, lines, boxes, late)

    def page(self, customer_id: str, before_number: int | None, limit: int) -> OrderPage:
        """A customer's orders, newest first; `next_cursor` is the number to continue before."""
        query = sa.select(orders).where(orders.c.customer_id == customer_id)
        if before_number is not None:
            query = query.where(orders.c.number < before_number)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(orders.c.number.desc()).limit(limit + 1)).all()
        more = len(rows) > limit
        cursor = str(rows[limit - 1].number) if more else None
        return OrderPage(items=[views.order_summary(row) for row in rows[:limit]], next_cursor=cursor)

    def history(self, order_id: str, after_seq: int = 0, limit: int = 200) -> OrderHistory:
        """The order's events after `after_seq`, oldest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(order_events)
                .where(order_events.c.order_id == order_id, order_events.c.seq > after_seq)
                .order_by(order_events.c.seq)
                .limit(limit + 1)
            ).all()
        cursor = str(rows[limit - 1].seq) if len(rows) > limit else None
        return OrderHistory(items=[views.order_event(row) for row in rows[:limit]], next_cursor=cursor)

    def _placed(self, order_id: str) -> OrderPlaced | None:
        with self._engine.connect() as connection:
            number = connection.execute(sa.select(orders.c.number).where(orders.c.id == order_id)).scalar()
            if number is None:
                return None
            boxes = connection.execute(
                sa.select(parcels, warehouses.c.country)
                .join(warehouses, warehouses.c.code == parcels.c.warehouse)
                .where(parcels.c.order_id == order_id)
                .order_by(parcels.c.number)
            ).all()
        return OrderPlaced(
            order_id=order_id,
            number=number,
            parcels=[views.parcel_plan(box) for box in boxes],
            hold_seconds=int(self._hold.total_seconds()),
        )


def plan_parcels(
    allocations: Sequence[Allocation], quote: PricedOrder, countries: Mapping[str, str]
) -> list[ParcelPlan]:
    """One parcel per warehouse, and one more for what has yet to arrive; each carries its share of the order's total
    by the value of its goods.

    The shares add up to the total, so that capturing every parcel captures exactly what was authorized.
    """
    priced = {line.sku: line for line in quote.lines}
    boxes = list(dict.fromkeys((a.warehouse, a.backordered) for a in sorted(allocations, key=lambda a: a.backordered)))
    contents = [[a for a in allocations if (a.warehouse, a.backordered) == box] for box in boxes]
    values = [sum(priced[a.sku].unit_price * a.quantity for a in content) for content in contents]
    amounts = split(quote.total, values)
    return [
        ParcelPlan(
            number=number,
            warehouse=house,
            country=countries[house],
            lines=[
                ParcelLine(sku=a.sku, quantity=a.quantity, backordered=a.quantity if a.backordered else 0)
                for a in content
            ],
            amount=amount,
            weight_grams=sum(priced[a.sku].weight_grams * a.quantity for a in content),
        )
        for number, ((house, _), content, amount) in enumerate(zip(boxes, contents, amounts, strict=True), start=1)
    ]


def _place(connection: sa.Connection, command: PlaceOrder, hold: timedelta) -> None:
    order, quote = command.order, command.quote
    demands = [Demand(line.sku, line.quantity) for line in order.lines]
    # Most of those who come too late are told so here, before they have written or locked anything.
    check_shortage(connection, demands)
    countries = warehouse_countries(connection)
    _insert_order(connection, order, quote)
    with stock_sheet(connection, {demand.sku for demand in demands}) as sheet:
        allocations = allocate(demands, sheet.available(countries), sheet.backorderable)
        plans = plan_parcels(allocations, quote, countries)
        hold_parcels(connection, sheet, order.order_id, plans, hold)
        _insert_parcels(connection, order.order_id, plans)
        _append_placed(connection, order, quote, plans)


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
            currency=quote.currency,
            subtotal=quote.subtotal,
            shipping=quote.shipping,
            tax=quote.tax,
            total=quote.total,
            cart_id=order.cart_id,
            cart_version=order.cart_version,
            cart_claim=f"{order.cart_id}:{order.cart_version}",
            shipping_address=order.shipping_address.model_dump(mode="json"),
            shipping_method=order.shipping_method,
            created_at=moment,
            updated_at=moment,
        )
    )
    connection.execute(
        sa.insert(order_lines),
        [
            {"order_id": order.order_id, "position": position, **line.model_dump()}
            for position, line in enumerate(quote.lines, start=1)
        ],
    )


def _insert_parcels(connection: sa.Connection, order_id: str, plans: Sequence[ParcelPlan]) -> None:
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
    connection: sa.Connection, order: CheckoutInput, quote: PricedOrder, plans: Sequence[ParcelPlan]
) -> None:
    actor = f"customer:{order.customer_id}"
    late = {
        line.sku: sum(one.backordered for plan in plans for one in plan.lines if one.sku == line.sku)
        for line in quote.lines
    }
    waiting = [{"sku": sku, "quantity": quantity} for sku, quantity in late.items() if quantity]
    data = {"total": quote.total_money.model_dump(), "lines": len(quote.lines)}
    fresh = LockedOrder(
        order.order_id, OrderStatus.PENDING, PaymentStatus.NOT_PAID, FulfilmentStatus.UNFULFILLED, last_seq=0
    )
    append(connection, fresh, Change("place", "order.placed", actor, data | _if_any(waiting)))
    houses = list(dict.fromkeys(plan.warehouse for plan in plans))
    append(
        connection,
        LockedOrder(fresh.id, fresh.status, fresh.payment_status, fresh.fulfilment_status, last_seq=1),
        Change("reserve-stock", "order.stock_reserved", "system", {"warehouses": houses, **_if_any(waiting)}),
    )


def _if_any(waiting: list[dict[str, object]]) -> dict[str, object]:
    return {"backordered": waiting} if waiting else {}
