"""Rows of the order tables as the messages that show them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import aware
from domain.credit import OrderCredit
from domain.fulfilment import ParcelStatus
from domain.ledger import Account
from schemas.base import Address, Money
from schemas.checkout import Adoption, CheckoutInput, OrderLineInput, PricedOrder
from schemas.orders import OrderEvent, OrderLineView, OrderSummary, OrderView, PaymentBalance, PaymentPart
from schemas.parcel_resolutions import ParcelResolution
from schemas.parcels import ParcelLine, ParcelPlan, ParcelShipment, ParcelView

Row = sa.Row[Any]
_SAME_IN_CHECKOUT = (
    "customer_id",
    "email",
    "cart_id",
    "cart_version",
    "shipping_address",
    "shipping_method",
    "currency",
)


def order_summary(row: Row) -> OrderSummary:
    """An order as one row of a list."""
    return OrderSummary(
        id=row.id,
        number=row.number,
        status=row.status,
        payment_status=row.payment_status,
        fulfilment_status=row.fulfilment_status,
        total=Money(amount=row.total, currency=row.currency),
        created_at=aware(row.created_at),
        updated_at=aware(row.updated_at),
    )


Backordered = Mapping[tuple[int, str], int]  # parcel and SKU → units that are not allocated yet


def order_view(
    row: Row, lines: Sequence[Row], parcels: Sequence[ParcelView], backordered: Backordered, payment: PaymentBalance
) -> OrderView:
    """An order in full."""
    money = row.currency
    by_sku = Counter[str]()
    for (_, sku), units in backordered.items():
        by_sku[sku] += units
    cancelled = _cancelled(lines, parcels)
    return OrderView(
        **order_summary(row).model_dump(),
        customer_id=row.customer_id,
        email=row.email,
        subtotal=Money(amount=row.subtotal, currency=money),
        discount=Money(amount=row.discount, currency=money),
        shipping=Money(amount=row.shipping, currency=money),
        tax=Money(amount=row.tax, currency=money),
        tax_included=row.tax_included,
        payment=payment,
        voucher_code=row.voucher_code,
        **(row.awaiting or {}),
        lines=[_line_view(line, money, by_sku[line.sku], units) for line, units in zip(lines, cancelled, strict=True)],
        parcels=list(parcels),
        shipping_address=Address.model_validate(row.shipping_address),
        shipping_method=row.shipping_method,
        failure_code=row.failure_code,
        last_seq=row.last_seq,
    )


def quote(row: Row, lines: Sequence[Row]) -> PricedOrder:
    """What an order was placed at: the columns of both tables are named as the quote's fields."""
    return PricedOrder.model_validate({**row._mapping, "lines": [dict(line._mapping) for line in lines]})  # noqa: SLF001 - SQLAlchemy's documented way to a row as a mapping


def checkout(row: Row, lines: Sequence[Row], adoption: Adoption) -> CheckoutInput:
    """An order as it is handed to the workflow that adopts it: nothing of it is paid with a method given now."""
    same = {name: row._mapping[name] for name in _SAME_IN_CHECKOUT}  # noqa: SLF001 - see above
    return CheckoutInput(
        **same,
        order_id=row.id,
        lines=[OrderLineInput(sku=line.sku, quantity=line.quantity) for line in lines],
        payment_method=None,
        discount_code=row.voucher_code,
        adoption=adoption,
    )


def payment_balance(balances: Mapping[Account, int], credit: OrderCredit, currency: str) -> PaymentBalance:
    """The order's money: held, captured and refunded, in sum and by card and store credit."""

    def part(held: int, captured: int, refunded: int) -> dict[str, Money]:
        amounts = {"held": held, "captured": captured, "refunded": refunded}
        return {name: Money(amount=amount, currency=currency) for name, amount in amounts.items()}

    card = (balances[Account.HELD], -balances[Account.SALES], balances[Account.REFUNDS])
    store_credit = (credit.held, credit.captured, credit.refunded)
    both = part(*(by_card + by_credit for by_card, by_credit in zip(card, store_credit, strict=True)))
    return PaymentBalance(
        **both,
        disputed=Money(amount=balances[Account.DISPUTED], currency=currency),
        card=PaymentPart(**part(*card)),
        store_credit=PaymentPart(**part(*store_credit)),
    )


def order_event(row: Row) -> OrderEvent:
    """One entry of the history."""
    return OrderEvent(
        id=row.event_id,
        seq=row.seq,
        type=row.type,
        status=row.status,
        payment_status=row.payment_status,
        fulfilment_status=row.fulfilment_status,
        actor=row.actor,
        occurred_at=aware(row.occurred_at),
        data=row.data,
    )


def parcel_plan(row: Row) -> ParcelPlan:
    """What the warehouse is to ship."""
    return ParcelPlan(
        number=row.number,
        warehouse=row.warehouse,
        country=row.country,
        lines=[ParcelLine.model_validate(line) for line in row.lines],
        amount=row.amount,
        weight_grams=row.weight_grams,
        pick_required=row.pick_required,
        replaces=row.replaces,
    )


def _cancelled(lines: Sequence[Row], parcels: Sequence[ParcelView]) -> list[int]:
    """Units of each line that no parcel is to deliver any more; what is shipped again was in another before."""
    to_deliver = Counter[str]()
    for parcel in parcels:
        if parcel.replaces is None and not ParcelStatus(parcel.status).is_stopped:
            to_deliver.update({line.sku: line.quantity for line in parcel.lines})
    cancelled = []
    for line in lines:
        delivered = min(line.quantity, to_deliver[line.sku])
        to_deliver[line.sku] -= delivered
        cancelled.append(line.quantity - delivered)
    return cancelled


def _line_view(row: Row, currency: str, backordered: int, cancelled: int) -> OrderLineView:
    return OrderLineView(
        sku=row.sku,
        name=row.name,
        quantity=row.quantity,
        cancelled=cancelled,
        unit_price=Money(amount=row.unit_price, currency=currency),
        discount=Money(amount=row.discount, currency=currency),
        tax=Money(amount=row.tax, currency=currency),
        subtotal=Money(amount=row.subtotal, currency=currency),
        backordered=backordered,
    )


def shipping_cost(row: Row) -> Money | None:
    """What the carrier charges for a parcel, as far as it is known."""
    if row.shipping_cost is None:
        return None
    return Money(amount=row.shipping_cost, currency=row.shipping_cost_currency)


def parcel_view(
    row: Row, backordered: Backordered, resolution: ParcelResolution | None, *, for_staff: bool
) -> ParcelView:
    """A parcel, with what was done about it when it could not be delivered; its booking `for_staff` alone."""
    status = ParcelStatus(row.status)
    is_booked = row.shipment_id is not None and not (status.is_without_booking or status.is_stopped)
    return ParcelView(
        number=row.number,
        warehouse=row.warehouse,
        status=row.status,
        tracking_number=row.tracking_number,
        tracking_url=row.tracking_url,
        shipment=ParcelShipment(service=row.carrier_service, cost=shipping_cost(row), label_url=row.label_url)
        if for_staff and is_booked
        else None,
        ship_by=aware(row.ship_by) if row.ship_by else None,
        late=row.late_at is not None,
        backordered_until=aware(row.backordered_until) if row.backordered_until else None,
        lines=[
            ParcelLine(
                sku=line["sku"], quantity=line["quantity"], backordered=backordered.get((row.number, line["sku"]), 0)
            )
            for line in row.lines
        ],
        replaces=row.replaces,
        resolution=resolution,
    )
