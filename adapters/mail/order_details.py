"""What a mail about an order lists beside its sentence: the order's sums, and what customers see of the event."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from babel.dates import format_datetime
from babel.numbers import format_currency

from domain.events import EventType
from schemas.base import Money
from schemas.notifications import NotificationInput
from schemas.orders import OrderView


def sums(order: OrderView) -> list[tuple[str, str]]:
    """What the order costs, with labels."""
    off = Money(amount=-order.discount.amount, currency=order.discount.currency)
    return [
        ("Subtotal", amount(order.subtotal)),
        *([(f"Discount ({order.voucher_code})", amount(off))] if off.amount else []),
        ("Shipping", amount(order.shipping)),
        ("Tax (included)" if order.tax_included else "Tax", amount(order.tax)),
        ("Total", amount(order.total)),
    ]


def details(order: OrderView, event: NotificationInput) -> list[tuple[str, str]]:
    """The event's data that customers see, with labels."""
    data = event.data
    found: list[tuple[str, str]] = []
    if event.type.startswith("payment.") and data.get("amount"):
        found.append(("Amount", amount(Money.model_validate(data["amount"]))))
    if "parcel" in data and len(order.parcels) > 1:
        found.append(("Parcel", f"{data['parcel']} of {len(order.parcels)}"))
    if event.type == EventType.ORDER_AWAITING_CUSTOMER:
        found.extend(_shortage(order, data))
    for name, label in (
        ("retry_until", "Please pay by"),
        ("decide_until", "Please decide by"),
        ("wait_until", "Waiting until"),
    ):
        if until := data.get(name):
            found.append((label, format_datetime(datetime.fromisoformat(str(until)), locale="en_IE")))
    names = {"tracking_number": "Tracking number", "location": "Location", "message": "Reason"}
    found.extend((label, str(data[name])) for name, label in names.items() if data.get(name))
    return found


def _shortage(order: OrderView, data: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = {line.sku: line.name for line in order.lines}
    details = [
        (names.get(line["sku"], line["sku"]), f"{line['available']} of {line['wanted']}") for line in data["short"]
    ]
    if total := data.get("take_available_total"):
        details.append(("Total of the available items", amount(Money.model_validate(total))))
    return details


def amount(money: Money) -> str:
    """As customers read it."""
    return format_currency(money.amount / 100, money.currency, locale="en_IE")
