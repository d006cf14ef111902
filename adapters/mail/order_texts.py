"""The texts of mails about orders: a subject and a sentence per event, put into one template."""

from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from adapters.mail.order_details import amount, details, sums
from domain.events import EventType
from domain.parcels import SHORT_PICK
from schemas.notifications import NotificationInput
from schemas.orders import OrderView
from schemas.parcel_resolutions import ResolutionAction

TEMPLATES = Environment(
    loader=PackageLoader("adapters"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class EventText:
    """A subject, which follows the order's number, and the sentence that opens the mail."""

    subject: str
    sentence: str


_TEXTS: dict[str, EventText] = {
    EventType.ORDER_PLACED: EventText("we have received your order", "Thank you. We have received your order."),
    EventType.ORDER_STOCK_RESERVED: EventText(
        "your items are reserved", "All items of your order are reserved for you."
    ),
    EventType.PAYMENT_AUTHORIZED: EventText(
        "your payment is authorised", "Your bank has authorised your payment. We charge it when we ship."
    ),
    EventType.PAYMENT_DECLINED: EventText(
        "your payment was declined", "Your bank declined the payment. You were not charged."
    ),
    EventType.ORDER_CONFIRMED: EventText(
        "your order is confirmed", "Your order is confirmed. We are preparing it for shipment."
    ),
    EventType.PARCEL_PICKED: EventText(
        "your items are picked", "We have taken the items of your parcel from our shelves."
    ),
    EventType.PARCEL_BOOKED: EventText(
        "your parcel is being packed", "We are packing your parcel. The carrier collects it next."
    ),
    EventType.PARCEL_REFUSED: EventText(
        "your parcel cannot be delivered", "The carrier does not deliver to your address."
    ),
    EventType.PARCEL_LATE: EventText(
        "your parcel is late",
        "Your parcel has not left our warehouse in time. We are sorry, and ship it as soon as we can. Until then you "
        "can cancel it.",
    ),
    EventType.PARCEL_DISPATCHED: EventText("your parcel is on its way", "Your parcel has left our warehouse."),
    EventType.PARCEL_IN_TRANSIT: EventText("your parcel is in transit", "Your parcel is on its way to you."),
    EventType.PARCEL_OUT_FOR_DELIVERY: EventText("your parcel arrives today", "Your parcel is out for delivery today."),
    EventType.PARCEL_EXCEPTION: EventText("your parcel is delayed", "The carrier reports a problem with your parcel."),
    EventType.PARCEL_DELIVERED: EventText("your parcel has been delivered", "Your parcel has been delivered."),
    EventType.PARCEL_RETURNED: EventText(
        "your parcel was returned", "Your parcel could not be delivered and was returned to us. We will contact you."
    ),
    EventType.PARCEL_LOST: EventText(
        "your parcel was lost", "The carrier has lost your parcel. We will contact you about what happens next."
    ),
    EventType.PARCEL_CANCELLED: EventText(
        "your parcel was cancelled", "Your parcel was cancelled before it was shipped."
    ),
    EventType.PAYMENT_CAPTURED: EventText("you have been charged", "We have charged you for the items we shipped."),
    EventType.PAYMENT_REFUNDED: EventText(
        "your refund is on its way", "We have refunded your payment. Your bank may need a few days to show it."
    ),
    EventType.PAYMENT_REFUND_FAILED: EventText(
        "a refund has not reached you",
        "Your bank could not accept our refund and returned it to us. We will refund you in another way.",
    ),
    EventType.PAYMENT_DISPUTED: EventText(
        "your payment is disputed", "Your bank has asked us about the payment for your order."
    ),
    EventType.PAYMENT_DISPUTE_CLOSED: EventText(
        "your bank has decided", "Your bank has decided about the disputed payment for your order."
    ),
    EventType.ORDER_RELEASED: EventText(
        "your order continues", "Your order is no longer on hold. We are preparing it for shipment."
    ),
    EventType.PARCEL_ON_HOLD: EventText(
        "your parcel is on hold", "We will ship your parcel when your bank has decided about the disputed payment."
    ),
    EventType.PAYMENT_VOIDED: EventText(
        "an authorisation was cancelled", "We have cancelled an authorised amount. You are not charged for it."
    ),
    EventType.PAYMENT_CREDIT_AUTHORIZED: EventText(
        "your store credit is used", "We have set aside your store credit for this order."
    ),
    EventType.PAYMENT_CREDIT_CAPTURED: EventText(
        "your store credit was charged", "We have charged your store credit for the items we shipped."
    ),
    EventType.PAYMENT_CREDIT_REFUNDED: EventText("you have new store credit", "We have refunded you as store credit."),
    EventType.PAYMENT_CREDIT_VOIDED: EventText(
        "your store credit is available again", "The store credit set aside for this order is available to you again."
    ),
    EventType.ORDER_PAYMENT_RENEWED: EventText(
        "your payment was renewed", "Thank you. Your payment was renewed and your order continues."
    ),
    EventType.PAYMENT_ORPHAN_AUTHORIZED: EventText(
        "your payment came too late", "Your payment reached us too late. We will return it to you."
    ),
    EventType.PAYMENT_ORPHAN_CAPTURED: EventText(
        "your payment came too late", "Your payment reached us too late. We will return it to you."
    ),
    EventType.PAYMENT_ORPHAN_RETURNED: EventText(
        "we have returned your payment",
        "We have returned the payment that reached us too late. Your bank may need a few days to show it.",
    ),
    EventType.PAYMENT_STATUS_CORRECTED: EventText(
        "your payment status was corrected", "We have corrected the payment status of your order."
    ),
    EventType.ORDER_STOCK_RELEASED: EventText(
        "your items are no longer reserved", "Your items are no longer reserved for you."
    ),
    EventType.ORDER_RESERVATION_EXPIRED: EventText(
        "your reservation has expired", "Your items are no longer reserved for you."
    ),
    EventType.ORDER_BACKORDER_ALLOCATED: EventText(
        "your items have arrived", "Items you are waiting for have arrived in our warehouse."
    ),
    EventType.ORDER_BACKORDER_REMINDER: EventText(
        "your items have not arrived yet",
        "Items you are waiting for have not arrived in our warehouse yet. You can choose to wait longer; otherwise we "
        "will cancel them, and you are not charged for them.",
    ),
    EventType.ORDER_BACKORDER_EXTENDED: EventText(
        "we keep waiting for your items", "Thank you for your patience. We keep waiting for your items."
    ),
    EventType.ORDER_FAILED: EventText(
        "your order could not be completed", "We are sorry: your order could not be completed."
    ),
    EventType.ORDER_CANCELLING: EventText("we are cancelling your order", "We are cancelling your order."),
    EventType.ORDER_CANCELLED: EventText("your order was cancelled", "Your order was cancelled."),
    EventType.ORDER_PARTLY_CANCELLED: EventText(
        "part of your order was cancelled",
        "Part of your order was cancelled and you are not charged for it. What was shipped is on its way to you.",
    ),
    EventType.ORDER_LINES_CANCELLED: EventText(
        "items of your order were cancelled",
        "We have cancelled items as requested, and you are not charged for them. The rest of your order continues.",
    ),
    EventType.ORDER_ADDRESS_REQUESTED: EventText("we check your new address", "We check your new shipping address."),
    EventType.ORDER_ADDRESS_KEPT: EventText("your shipping address stays", "Your shipping address was not changed."),
    EventType.ORDER_ADDRESS_CHANGED: EventText(
        "your shipping address was changed",
        "We have changed the shipping address of your order as requested. The sums below are those for this address.",
    ),
    EventType.PARCEL_RESOLVED: EventText(
        "what we do about your parcel", "We have dealt with your parcel, which could not be delivered to you."
    ),
    EventType.PARCEL_REDUCED: EventText("your parcel has changed", "We have taken cancelled items out of your parcel."),
    EventType.ORDER_AWAITING_PAYMENT: EventText(
        "please complete your payment",
        "Your items stay reserved while you complete the payment or choose another method.",
    ),
    EventType.ORDER_PAYMENT_REMINDER: EventText(
        "your payment is still open", "Your items are still reserved for you. Please complete your payment."
    ),
    EventType.ORDER_AWAITING_CUSTOMER: EventText(
        "some items are out of stock",
        "Some items of your order are out of stock. Please choose: receive the available items, wait for all items, "
        "or cancel the order.",
    ),
    EventType.ORDER_DECISION_REMINDER: EventText(
        "please decide about your order",
        "The available items are still reserved for you. Please decide how your order should continue.",
    ),
    EventType.ORDER_DECIDED: EventText(
        "we have received your decision", "Thank you. Your order continues as you decided."
    ),
    EventType.ORDER_ON_HOLD: EventText(
        "we are checking your order", "Thank you. We are checking your order and will write to you soon."
    ),
    EventType.ORDER_REVIEW_PASSED: EventText(
        "your order continues", "Thank you for waiting. We have checked your order and it continues."
    ),
    EventType.ORDER_COMPENSATION_BLOCKED: EventText(
        "we are looking into your order", "Our staff are looking into your order."
    ),
}
_EXPIRED = {
    "payment_expired": EventText(
        "your order was not paid in time",
        "Your order was not paid in time and has ended. Your items are no longer reserved.",
    ),
    "decision_expired": EventText(
        "your order has ended without a decision",
        "We did not receive your decision in time, so your order has ended. You were not charged.",
    ),
}
_REAUTHORIZED: dict[str, EventText] = {
    EventType.PAYMENT_AUTHORIZED: EventText(
        "your payment was renewed", "Your bank has authorised your payment again while you wait for your items."
    ),
    EventType.PAYMENT_VOIDED: EventText(
        "an earlier authorisation was cancelled", "We have cancelled the earlier authorisation of your payment."
    ),
}
_SHORT_PICK = EventText(
    "items of your order are missing",
    "We are sorry: items of your order are not in our warehouse after all. We have cancelled them, and you are not "
    "charged for them. The rest of your order continues.",
)
_SHIPPED_AGAIN = EventText(
    "we ship your parcel again",
    "Your parcel could not be delivered to you. We are sending its items again, and you are not charged for that.",
)
_REPLACEMENT_LATE = EventText(
    "your parcel is late",
    "The parcel that we ship again has not left our warehouse in time. We are sorry, and ship it as soon as we can.",
)
_OTHER = EventText("an update on your order", "There is an update on your order.")
_PART_RESERVED = EventText("your items are reserved", "The available items are reserved for you.")
_REST_BACKORDERED = EventText(
    "your items are reserved", "The available items are reserved for you. The others follow when they arrive."
)


@dataclass(frozen=True)
class MailText:
    """A mail's subject and its two bodies."""

    subject: str
    text: str
    html: str


def write(order: OrderView, event: NotificationInput) -> MailText:
    """The mail for this event of this order; an event without a text of its own has a general one."""
    text = _EXPIRED.get(str(event.data.get("code"))) if event.type == EventType.ORDER_FAILED else None
    if event.data.get("reauthorization"):
        text = _REAUTHORIZED.get(event.type)
    if event.type == EventType.ORDER_LINES_CANCELLED and event.data.get("reason") == SHORT_PICK:
        text = _SHORT_PICK
    if event.type == EventType.PARCEL_RESOLVED and event.data.get("action") == ResolutionAction.SHIP_AGAIN:
        text = _SHIPPED_AGAIN
    if event.type == EventType.PARCEL_LATE and _is_replacement(order, event.data.get("parcel")):
        text = _REPLACEMENT_LATE
    text = text or _TEXTS.get(event.type, _OTHER)
    if event.type == EventType.ORDER_STOCK_RESERVED and event.data.get("backordered"):
        text = _PART_RESERVED if event.data.get("short") else _REST_BACKORDERED
    values: Mapping[str, object] = {
        "order": order,
        "sentence": text.sentence,
        "details": details(order, event),
        "lines": [(line.quantity, line.name, amount(line.subtotal)) for line in order.lines],
        "sums": sums(order),
    }
    return MailText(
        subject=f"Order {order.number}: {text.subject}",
        text=TEMPLATES.get_template("order_event.txt").render(values),
        html=TEMPLATES.get_template("order_event.html").render(values),
    )


def _is_replacement(order: OrderView, number: object) -> bool:
    return any(parcel.number == number and parcel.replaces is not None for parcel in order.parcels)
