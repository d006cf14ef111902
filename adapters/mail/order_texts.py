"""What customers are told of each event: one sentence, put into the one mail template."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from babel.dates import format_datetime
from babel.numbers import format_currency
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from domain.events import EventType
from schemas.base import Money
from schemas.notifications import NotificationInput
from schemas.orders import OrderView

TEMPLATES = Environment(
    loader=PackageLoader("adapters"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Said:
    """A subject, which follows the order's number, and the sentence that opens the mail."""

    subject: str
    sentence: str


_SAID: dict[str, Said] = {
    EventType.ORDER_PLACED: Said("we have received your order", "Thank you! We have received your order."),
    EventType.ORDER_STOCK_RESERVED: Said("your items are reserved", "Everything you ordered is reserved for you."),
    EventType.PAYMENT_AUTHORIZED: Said(
        "your payment is authorised", "Your bank holds the amount; we take it when we ship."
    ),
    EventType.PAYMENT_DECLINED: Said(
        "your payment was declined", "Your bank declined the payment, so nothing was charged."
    ),
    EventType.ORDER_CONFIRMED: Said(
        "your order is confirmed", "Your order is confirmed and goes to the warehouse now."
    ),
    EventType.PARCEL_BOOKED: Said(
        "your parcel is being packed", "Your parcel is being packed and waits for the carrier."
    ),
    EventType.PARCEL_REFUSED: Said("your parcel cannot be delivered", "The carrier cannot deliver to your address."),
    EventType.PARCEL_DISPATCHED: Said("your parcel is on its way", "Your parcel has left our warehouse."),
    EventType.PARCEL_IN_TRANSIT: Said("your parcel is in transit", "Your parcel is travelling to you."),
    EventType.PARCEL_OUT_FOR_DELIVERY: Said("your parcel arrives today", "Your parcel is out for delivery today."),
    EventType.PARCEL_EXCEPTION: Said("your parcel is delayed", "The carrier reports a problem with your parcel."),
    EventType.PARCEL_DELIVERED: Said("your parcel has been delivered", "Your parcel has been delivered. Enjoy!"),
    EventType.PARCEL_CANCELLED: Said("your parcel was called back", "Your parcel was called back before it left."),
    EventType.PAYMENT_CAPTURED: Said("we have charged your payment", "We have taken the payment for what was shipped."),
    EventType.PAYMENT_REFUNDED: Said(
        "we have given money back", "We have given money back; your bank may need some days."
    ),
    EventType.PAYMENT_REFUND_FAILED: Said(
        "a refund has not reached you",
        "We have given money back, but your bank could not take it and has sent it back to us. We are on it, and give "
        "it back another way.",
    ),
    EventType.PAYMENT_DISPUTED: Said(
        "your bank asks about your payment", "Your bank asks us about the payment of your order."
    ),
    EventType.PAYMENT_DISPUTE_CLOSED: Said(
        "your bank has decided", "Your bank has decided about the payment of your order."
    ),
    EventType.ORDER_RELEASED: Said("your order goes on", "Your order is on its way through our warehouse again."),
    EventType.PARCEL_ON_HOLD: Said("your parcel is on hold", "We keep your parcel here until your bank has decided."),
    EventType.PAYMENT_VOIDED: Said("your payment was released", "The amount your bank held has been released."),
    EventType.PAYMENT_CREDIT_AUTHORIZED: Said(
        "your store credit is used", "We keep store credit of yours for this order."
    ),
    EventType.PAYMENT_CREDIT_CAPTURED: Said("we have taken your store credit", "It has paid for what was shipped."),
    EventType.PAYMENT_CREDIT_REFUNDED: Said("you have store credit again", "We have given money back as store credit."),
    EventType.PAYMENT_CREDIT_VOIDED: Said(
        "your store credit is yours again", "Store credit we kept for this order is free."
    ),
    EventType.ORDER_PAYMENT_RENEWED: Said("your order goes on", "Thank you. Your payment is in order again."),
    EventType.PAYMENT_ORPHAN_AUTHORIZED: Said(
        "your payment came too late", "A payment reached us when we did not wait for it any more. You get it back."
    ),
    EventType.PAYMENT_ORPHAN_CAPTURED: Said(
        "your payment came too late", "A payment reached us when we did not wait for it any more. You get it back."
    ),
    EventType.PAYMENT_ORPHAN_RETURNED: Said(
        "we have given your late payment back",
        "We have given back the payment that reached us too late; your bank may need some days to show it.",
    ),
    EventType.PAYMENT_STATUS_CORRECTED: Said(
        "we have put your order right", "We have corrected how the payment of your order is shown."
    ),
    EventType.ORDER_STOCK_RELEASED: Said(
        "your items are no longer reserved", "Your items are no longer reserved for you."
    ),
    EventType.ORDER_RESERVATION_EXPIRED: Said(
        "your items are no longer reserved", "Your items are no longer reserved for you."
    ),
    EventType.ORDER_BACKORDER_ALLOCATED: Said(
        "your items have arrived", "Items you are waiting for have arrived in our warehouse."
    ),
    EventType.ORDER_FAILED: Said(
        "your order could not be completed", "We are sorry: your order could not be completed."
    ),
    EventType.ORDER_CANCELLING: Said(
        "we are cancelling your order", "We are cancelling your order, as you have asked."
    ),
    EventType.ORDER_CANCELLED: Said("your order is cancelled", "Your order is cancelled."),
    EventType.ORDER_AWAITING_PAYMENT: Said(
        "your payment is still open",
        "Your items stay reserved while you complete the payment or choose another method.",
    ),
    EventType.ORDER_PAYMENT_REMINDER: Said(
        "please complete your payment", "Your items are still reserved for you, but the payment is still open."
    ),
    EventType.ORDER_AWAITING_CUSTOMER: Said(
        "not everything can be had: please decide",
        "Not everything you ordered is there. Take what there is, wait for the rest, or have nothing: please tell us.",
    ),
    EventType.ORDER_DECISION_REMINDER: Said(
        "please decide about your order", "What we have is still reserved for you, but we do not know what you want."
    ),
    EventType.ORDER_DECIDED: Said("thank you for deciding", "Thank you. Your order goes on as you have decided."),
    EventType.ORDER_ON_HOLD: Said(
        "we are checking your order", "Thank you! We are checking your order and will write soon."
    ),
    EventType.ORDER_REVIEW_PASSED: Said("your order goes on", "Thank you for waiting. Your order goes on."),
    EventType.ORDER_COMPENSATION_BLOCKED: Said(
        "we are looking into your order", "One of us is looking into your order."
    ),
}
_ENDED = {
    "payment_expired": Said(
        "your order has ended without a payment", "No payment reached us in time, so your items are no longer reserved."
    ),
    "decision_expired": Said(
        "your order has ended without a decision",
        "No decision reached us in time, so your items are no longer reserved, and nothing was charged.",
    ),
}
_HELD_ANEW: dict[str, Said] = {
    EventType.PAYMENT_AUTHORIZED: Said("your payment is held anew", "Your bank holds the amount anew while you wait."),
    EventType.PAYMENT_VOIDED: Said("an earlier hold was released", "What your bank held before is released."),
}
_NEWS = Said("there is news about your order", "There is news about your order.")
_PART_RESERVED = Said("your items are reserved", "What we have is reserved for you.")
_SOME_RESERVED = Said("your items are reserved", "What we have is reserved for you; the rest follows when it arrives.")


@dataclass(frozen=True)
class MailText:
    """A mail's subject and its two bodies."""

    subject: str
    text: str
    html: str


def write(order: OrderView, event: NotificationInput) -> MailText:
    """The mail for this event of this order; an event we have no words for is news all the same."""
    said = _ENDED.get(str(event.data.get("code"))) if event.type == EventType.ORDER_FAILED else None
    if event.data.get("renewal"):
        said = _HELD_ANEW.get(event.type)
    said = said or _SAID.get(event.type, _NEWS)
    if event.type == EventType.ORDER_STOCK_RESERVED and event.data.get("backordered"):
        said = _PART_RESERVED if event.data.get("short") else _SOME_RESERVED
    told: Mapping[str, object] = {
        "order": order,
        "sentence": said.sentence,
        "details": _details(order, event),
        "lines": [(line.quantity, line.name, _amount(line.subtotal)) for line in order.lines],
        "sums": _sums(order),
    }
    return MailText(
        subject=f"Order {order.number}: {said.subject}",
        text=TEMPLATES.get_template("order_event.txt").render(told),
        html=TEMPLATES.get_template("order_event.html").render(told),
    )


def _sums(order: OrderView) -> list[tuple[str, str]]:
    off = Money(amount=-order.discount.amount, currency=order.discount.currency)
    return [
        ("Subtotal", _amount(order.subtotal)),
        *([(f"Discount ({order.voucher_code})", _amount(off))] if off.amount else []),
        ("Shipping", _amount(order.shipping)),
        ("Tax (included)" if order.tax_included else "Tax", _amount(order.tax)),
        ("Total", _amount(order.total)),
    ]


def _details(order: OrderView, event: NotificationInput) -> list[tuple[str, str]]:
    """What the event says beyond its type, named for people."""
    data = event.data
    details: list[tuple[str, str]] = []
    if event.type.startswith("payment.") and data.get("amount"):
        details.append(("Amount", _amount(Money.model_validate(data["amount"]))))
    if "parcel" in data and len(order.parcels) > 1:
        details.append(("Parcel", f"{data['parcel']} of {len(order.parcels)}"))
    if event.type == EventType.ORDER_AWAITING_CUSTOMER:
        details.extend(_shortage(order, data))
    for name, label in (("retry_until", "Please pay until"), ("decide_until", "Please decide until")):
        if until := data.get(name):
            details.append((label, format_datetime(datetime.fromisoformat(str(until)), locale="en_IE")))
    names = {"tracking_number": "Tracking number", "location": "Place", "message": "Reason"}
    details.extend((label, str(data[name])) for name, label in names.items() if data.get(name))
    return details


def _shortage(order: OrderView, data: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = {line.sku: line.name for line in order.lines}
    told = [(names.get(line["sku"], line["sku"]), f"{line['available']} of {line['wanted']}") for line in data["short"]]
    if total := data.get("take_available_total"):
        told.append(("What there is costs", _amount(Money.model_validate(total))))
    return told


def _amount(money: Money) -> str:
    return format_currency(money.amount / 100, money.currency, locale="en_IE")
