"""What is done about parcels that were lost or returned: one answer for each, carried out once."""

from collections import Counter
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import aware, now
from adapters.mysql.history import Change, append, lock_order, lock_orders
from adapters.mysql.orders.backorders import allocate_backorders, orders_waiting
from adapters.mysql.orders.operator_tasks import resolve_delivery
from adapters.mysql.orders.order_rows import parcel_row, parcel_states
from adapters.mysql.orders.replacements import check_may_replace, plan_replacement, replacement_job
from adapters.mysql.orders.reservations import RESERVED_FOR
from adapters.mysql.orders.stock import units_to_return
from adapters.mysql.orders.stock_ledger import Cause, Place, StockSheet, stock_sheet
from adapters.mysql.tables.orders import parcel_resolutions, parcels
from adapters.mysql.transactions import in_transaction
from domain.errors import Fault, IllegalMove, InvalidFields, NotFound, ParcelResolved
from domain.events import EventType
from domain.fulfilment import ParcelStatus
from domain.orders import fulfilment_status
from domain.replacements import standing
from domain.stock import MovementKind
from schemas.base import Money
from schemas.parcel_resolutions import (
    CloseResolution,
    ParcelResolution,
    ResolutionOpened,
    ResolveParcel,
    WithdrawResolution,
)
from schemas.replacements import ParcelReplaced
from schemas.stock import StockAllocated


class ParcelResolutions:
    """A row for each parcel that was answered; withdrawn when the answer could not be carried out."""

    def __init__(self, engine: sa.Engine, reserved_for: timedelta = RESERVED_FOR) -> None:
        self._engine = engine
        self._reserved_for = reserved_for

    def open(self, command: ResolveParcel) -> ResolutionOpened:
        """Record what is to be done about the parcel; the first answer counts, and a repeat of it is no other.

        Raises NotFound, IllegalMove for a parcel that may still arrive, InvalidFields for goods that did not come back,
        and ParcelResolved when something else was done about it.
        """
        return in_transaction(self._engine, lambda connection: _open(connection, command))

    def replace(self, command: ResolveParcel) -> ParcelReplaced:
        """Plan another parcel with the same goods in its place, reserved from stock, and record that this is done; all
        of it or nothing. A repeat answers the same parcel.

        Raises as `open` does; IllegalMove for an order of which nothing is shipped any more; InsufficientStock; and
        what the money is refused for: ParcelRefunded, PaymentDisputed, RefundExceedsCaptured before it is captured.
        """
        return in_transaction(self._engine, lambda connection: _replace(connection, command, self._reserved_for))

    def withdraw(self, command: WithdrawResolution) -> None:
        """Forget an answer that could not be carried out."""

        def act(connection: sa.Connection) -> None:
            lock_order(connection, command.order_id)
            mine = _of(command.order_id, command.parcel)
            connection.execute(sa.delete(parcel_resolutions).where(mine, parcel_resolutions.c.resolved_at.is_(None)))

        in_transaction(self._engine, act)

    def close(self, command: CloseResolution) -> list[StockAllocated]:
        """Record that it is carried out, with its goods, its event and its operator task; a repeat changes nothing.

        Answers the parcels of other orders that are complete with the goods that are back in stock.
        """
        return in_transaction(self._engine, lambda connection: _close(connection, command))


def resolutions_of(connection: sa.Connection, order_id: str) -> dict[int, ParcelResolution]:
    """Those of an order, by the parcel's number."""
    numbers = sa.select(parcels.c.replaces, parcels.c.number).where(
        parcels.c.order_id == order_id, parcels.c.replaces.is_not(None)
    )
    replacements = {row.replaces: row.number for row in connection.execute(numbers)}
    query = sa.select(parcel_resolutions).where(parcel_resolutions.c.order_id == order_id)
    return {row.parcel: _view(row, replacements.get(row.parcel)) for row in connection.execute(query)}


def _open(connection: sa.Connection, command: ResolveParcel) -> ResolutionOpened:
    lock_order(connection, command.order_id)
    parcel = parcel_row(connection, command.order_id, command.parcel)
    row = _row(connection, command.order_id, command.parcel)
    if row is None:
        _check_may(connection, parcel, command)
        values = command.model_dump() | {"requested_at": now()}
        connection.execute(sa.insert(parcel_resolutions).values(values))
        return ResolutionOpened(reason=command.reason, actor=command.actor)
    _check_same(row, command)
    return ResolutionOpened(reason=row.reason, actor=row.actor, is_closed=row.resolved_at is not None)


def _replace(connection: sa.Connection, command: ResolveParcel, reserved_for: timedelta) -> ParcelReplaced:
    order_id, number = command.order_id, command.parcel
    goods = _goods(parcel_row(connection, order_id, number))
    locked = lock_orders(connection, {order_id, *orders_waiting(connection, goods if command.restock else {})})
    if (row := _row(connection, order_id, number)) is not None:
        _check_same(row, command)
        return ParcelReplaced(job=replacement_job(connection, order_id, number, adopt=True))
    parcel = parcel_row(connection, order_id, number)
    _check_may(connection, parcel, command)
    check_may_replace(connection, order_id, number)
    moment = now()
    values = command.model_dump() | {"requested_at": moment, "resolved_at": moment}
    connection.execute(sa.insert(parcel_resolutions).values(values))
    back = goods if command.restock else Counter[Place]()
    with stock_sheet(connection, {sku for sku, _ in goods}) as sheet:
        _restock(sheet, back, Cause(command.actor, order_id, command.reason))
        plan = plan_replacement(connection, sheet, parcel, reserved_for)
        allocated = allocate_backorders(connection, sheet, locked, back.keys())  # what the replacement leaves
        _record_done(connection, command, back.total(), replacement=plan.number)
    job = replacement_job(connection, order_id, number, adopt=False)
    return ParcelReplaced(job=job, allocated=allocated)


def _check_same(row: sa.Row[Any], command: ResolveParcel) -> None:
    """Raise ParcelResolved unless the answer that was recorded first is this one."""
    if row.action != command.action or (command.restock and not row.restock):
        raise ParcelResolved(
            f"Parcel {command.parcel} is answered already: {row.action}{', restocked' if row.restock else ''}.",
            action=row.action,
            restocked=bool(row.restock),
        )


def _check_may(connection: sa.Connection, parcel: sa.Row[Any], command: ResolveParcel) -> None:
    status = ParcelStatus(parcel.status)
    never_sent = parcel.replaces is not None and status.is_stopped  # and its customer still waits for the goods
    if not (status.failed_delivery or never_sent):
        message = f"Parcel {parcel.number} is {status}: it was neither lost nor returned."
        raise IllegalMove(message, parcel=parcel.number, current=status.value)
    if not command.restock:
        return
    if status is not ParcelStatus.RETURNED:
        detail = f"Parcel {parcel.number} is {status}: its goods did not come back."
        raise InvalidFields([Fault("restock", "not_returned", detail)])
    for (sku, _), units in _goods(parcel).items():
        left = units_to_return(connection, sku, parcel.order_id)
        if left < units:
            detail = f"{left} unit(s) of {sku} can come back from this order."
            raise InvalidFields([Fault("restock", "more_than_shipped", detail)])


def _close(connection: sa.Connection, command: CloseResolution) -> list[StockAllocated]:
    order_id, parcel = command.order_id, parcel_row(connection, command.order_id, command.parcel)
    goods = _goods(parcel)
    locked = lock_orders(connection, {order_id, *orders_waiting(connection, goods)})
    row = _row(connection, order_id, command.parcel)
    if row is None:
        raise NotFound(f"Nothing is to be done about parcel {command.parcel}.")
    if row.resolved_at is not None:
        return []
    back = _back_in_stock(connection, goods, order_id) if row.restock else Counter[Place]()
    amount, currency = (command.amount.amount, command.amount.currency) if command.amount else (None, None)
    done = {"refund_id": command.refund_id, "amount": amount, "currency": currency, "resolved_at": now()}
    connection.execute(sa.update(parcel_resolutions).where(_of(order_id, command.parcel)).values(done))
    if not back:
        _record_done(connection, row, 0)
        return []
    with stock_sheet(connection, {sku for sku, _ in back}) as sheet:
        _restock(sheet, back, Cause(row.actor, order_id, row.reason))
        allocated = allocate_backorders(connection, sheet, locked, back.keys())
        _record_done(connection, row, back.total())
    return allocated


def _restock(sheet: StockSheet, back: Counter[Place], cause: Cause) -> None:
    for place, units in sorted(back.items()):
        sheet.move(MovementKind.RESTOCKED, place, units, cause)


def _record_done(
    connection: sa.Connection, answer: ResolveParcel | sa.Row[Any], back: int, *, replacement: int | None = None
) -> None:
    """Resolve the operator task, and append the event; the caller holds the order's lock."""
    order_id, number, goods = answer.order_id, answer.parcel, None
    resolve_delivery(connection, order_id, number, answer.actor, answer.reason)
    data = {"parcel": number, "action": answer.action, "restocked": back}
    if replacement is not None:
        data["replacement"] = replacement
        rows = connection.execute(sa.select(parcels).where(parcels.c.order_id == order_id))
        goods = fulfilment_status(standing(parcel_states(rows)))
    step = f"resolve-parcel-{number}"
    change = Change(step, EventType.PARCEL_RESOLVED, answer.actor, data, fulfilment_status=goods)
    append(connection, lock_order(connection, order_id), change)  # backorders of its own may have moved its seq


def _back_in_stock(connection: sa.Connection, goods: Counter[Place], order_id: str) -> Counter[Place]:
    """Without what somebody has put back since: money has moved, so this can no longer be refused."""
    return +Counter(
        {place: min(units, units_to_return(connection, place[0], order_id)) for place, units in goods.items()}
    )


def _goods(parcel: sa.Row[Any]) -> Counter[Place]:
    goods = Counter[Place]()
    for line in parcel.lines:
        goods[line["sku"], parcel.warehouse] += line["quantity"]
    return goods


def _row(connection: sa.Connection, order_id: str, parcel: int) -> sa.Row[Any] | None:
    return connection.execute(sa.select(parcel_resolutions).where(_of(order_id, parcel))).one_or_none()


def _of(order_id: str, parcel: int) -> sa.ColumnElement[bool]:
    return sa.and_(parcel_resolutions.c.order_id == order_id, parcel_resolutions.c.parcel == parcel)


def _view(row: sa.Row[Any], replacement: int | None) -> ParcelResolution:
    return ParcelResolution(
        action=row.action,
        refund_id=row.refund_id,
        amount=Money(amount=row.amount, currency=row.currency) if row.amount is not None else None,
        replacement=replacement,
        restocked=bool(row.restock),
        resolved_at=aware(row.resolved_at) if row.resolved_at else None,
    )
