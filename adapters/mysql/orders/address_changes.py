"""Changing an order's address: shipping and tax of its new destination, and its parcels' shares, in one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import now
from adapters.mysql.history import Change, LockedOrder, append, lock_order, recorded
from adapters.mysql.orders import views
from adapters.mysql.orders.order_rows import line_rows, planned_parcels, this_parcel
from adapters.mysql.orders.placing import sums_of
from adapters.mysql.tables.orders import order_lines, orders, parcels
from domain.catalog import TaxClass
from domain.errors import AddressRaisesTotal, TooLate
from domain.events import EventType
from domain.fulfilment import Demand, ParcelStatus
from domain.money import Money
from domain.orders import FINAL_STATUSES, OrderStatus
from domain.parcels import shares_of_total
from domain.pricing import PricedItem, Quote, QuoteLine, requote
from schemas.address_changes import AddressRecorded, RecordAddress
from schemas.checkout import PricedLine, PricedOrder
from schemas.parcels import ParcelPlan

_CLOSED = {*FINAL_STATUSES, OrderStatus.CANCELLING, OrderStatus.COMPENSATION_BLOCKED}


def change_address(
    connection: sa.Connection, command: RecordAddress, tax_classes: Mapping[str, TaxClass]
) -> AddressRecorded:
    """Write the address in this transaction; a repeat changes nothing.

    Within its country an order costs what it cost. Raises NotFound, TooLate once a parcel is booked or the order is
    being compensated, AddressRaisesTotal, and UnknownShippingMethod.
    """
    order = lock_order(connection, command.order_id)
    if recorded(connection, order.id, command.step) is None:
        row = connection.execute(sa.select(orders).where(orders.c.id == order.id)).one()
        standing = _standing(connection, order.id)
        _check_may(order, standing)
        before = views.quote(row, line_rows(connection, order.id))
        same_country = row.shipping_address["country"] == command.address.country
        after = before if same_country else _requoted(before, command, row.shipping_method, tax_classes)
        shares = _shares([views.parcel_plan(parcel) for parcel in standing], before, after)
        if after.total > max(before.total, command.authorized_total or 0):
            due = Money(sum(shares.values()), before.currency)
            raise AddressRaisesTotal("The order would cost more at this address.", **_totals(before, after, due))
        _write(connection, command, after)
        _write_shares(connection, order.id, shares)
        data = {"total": after.total_money.model_dump(), "previous_total": before.total_money.model_dump()}
        append(connection, order, Change(command.step, EventType.ORDER_ADDRESS_CHANGED, command.actor, data))
    return AddressRecorded(parcels=[views.parcel_plan(parcel) for parcel in _standing(connection, order.id)])


def _check_may(order: LockedOrder, standing: Sequence[sa.Row[Any]]) -> None:
    booked = [row.number for row in standing if not ParcelStatus(row.status).is_without_booking]
    if order.status in _CLOSED or booked or not standing:
        raise TooLate("The order is past the point where its address can be changed.", parcels=booked)


def _standing(connection: sa.Connection, order_id: str) -> list[sa.Row[Any]]:
    return [row for row in planned_parcels(connection, order_id) if not ParcelStatus(row.status).is_stopped]


def _requoted(
    before: PricedOrder, command: RecordAddress, shipping_method: str, tax_classes: Mapping[str, TaxClass]
) -> PricedOrder:
    def money(amount: int) -> Money:
        return Money(amount, before.currency)

    def line_of(line: PricedLine) -> QuoteLine:
        tax_class = tax_classes[line.sku]
        item = PricedItem(line.sku, line.name, line.quantity, money(line.unit_price), line.weight_grams, tax_class)
        return QuoteLine(item, money(line.subtotal), money(line.discount), money(line.tax))

    agreed = Quote(
        tuple(line_of(line) for line in before.lines),
        money(before.subtotal),
        money(before.discount),
        money(before.shipping),
        money(before.tax),
        money(before.total),
        before.tax_included,
    )
    return PricedOrder.of(requote(agreed, command.address.country, shipping_method), before.voucher_code)


def _write(connection: sa.Connection, command: RecordAddress, quote: PricedOrder) -> None:
    address = command.address.model_dump(mode="json")
    this = orders.c.id == command.order_id
    connection.execute(
        sa.update(orders).where(this).values(**sums_of(quote), shipping_address=address, updated_at=now())
    )
    for position, line in enumerate(quote.lines, start=1):
        one = sa.and_(order_lines.c.order_id == command.order_id, order_lines.c.position == position)
        connection.execute(sa.update(order_lines).where(one).values(tax=line.tax, discount=line.discount))


def _shares(standing: Sequence[ParcelPlan], before: PricedOrder, after: PricedOrder) -> dict[int, int]:
    """What each parcel carries of the new total; what costs the same is not divided again."""
    amounts = [plan.amount for plan in standing]
    if before.total != after.total:
        contents = [[Demand(line.sku, line.quantity) for line in plan.lines] for plan in standing]
        amounts = shares_of_total(contents, amounts, after.goods, before.total, after.total)
    return {plan.number: amount for plan, amount in zip(standing, amounts, strict=True)}


def _write_shares(connection: sa.Connection, order_id: str, shares: Mapping[int, int]) -> None:
    for number, amount in shares.items():
        connection.execute(
            sa.update(parcels).where(this_parcel(order_id, number)).values(amount=amount, updated_at=now())
        )


def _totals(before: PricedOrder, after: PricedOrder, due: Money) -> dict[str, object]:
    """Both totals, and what of the new one is due: all of it, but for what was cancelled."""
    return {
        "total": before.total_money.model_dump(),
        "new_total": after.total_money.model_dump(),
        "amount_due": {"amount": due.amount, "currency": due.currency},
    }
