"""What can happen to orders, products and accounts, by the names under which it is recorded and published."""

from enum import StrEnum

from domain.fulfilment import ParcelStatus
from domain.orders import OrderStatus


class EventType(StrEnum):
    """The events of orders, with their payments and parcels, and of products, with their stock.

    An order's are its history, its live stream and what is published of it; they travel with a prefix and a suffix
    (`schemas/events.py`). Consumers know these values: add, don't rename.
    """

    ORDER_PLACED = "order.placed"
    ORDER_STOCK_RESERVED = "order.stock_reserved"
    ORDER_STOCK_RELEASED = "order.stock_released"
    ORDER_RESERVATION_EXPIRED = "order.reservation_expired"
    ORDER_BACKORDER_ALLOCATED = "order.backorder_allocated"
    ORDER_BACKORDER_REMINDER = "order.backorder_reminder"
    ORDER_BACKORDER_EXTENDED = "order.backorder_extended"
    ORDER_AWAITING_CUSTOMER = "order.awaiting_customer"
    ORDER_DECISION_REMINDER = "order.decision_reminder"
    ORDER_DECIDED = "order.decided"
    ORDER_AWAITING_PAYMENT = "order.awaiting_payment"
    ORDER_PAYMENT_REMINDER = "order.payment_reminder"
    ORDER_PAYMENT_RENEWED = "order.payment_renewed"
    ORDER_ON_HOLD = "order.on_hold"
    ORDER_RELEASED = "order.released"
    ORDER_REVIEW_PASSED = "order.review_passed"
    ORDER_CONFIRMED = "order.confirmed"
    ORDER_CANCELLING = "order.cancelling"
    ORDER_CANCELLED = "order.cancelled"
    ORDER_FAILED = "order.failed"
    ORDER_PARTLY_CANCELLED = "order.partly_cancelled"
    ORDER_LINES_CANCELLED = "order.lines_cancelled"
    ORDER_ADDRESS_REQUESTED = "order.address_requested"
    ORDER_ADDRESS_KEPT = "order.address_kept"
    ORDER_ADDRESS_CHANGED = "order.address_changed"
    ORDER_COMPENSATION_BLOCKED = "order.compensation_blocked"
    ORDER_ADOPTED = "order.adopted"

    PAYMENT_AUTHORIZED = "payment.authorized"
    PAYMENT_DECLINED = "payment.declined"
    PAYMENT_CAPTURED = "payment.captured"
    PAYMENT_VOIDED = "payment.voided"
    PAYMENT_REFUNDED = "payment.refunded"
    PAYMENT_REFUND_FAILED = "payment.refund_failed"
    PAYMENT_DISPUTED = "payment.disputed"
    PAYMENT_DISPUTE_CLOSED = "payment.dispute_closed"
    PAYMENT_STATUS_CORRECTED = "payment.status_corrected"
    PAYMENT_ORPHAN_AUTHORIZED = "payment.orphan_authorized"
    PAYMENT_ORPHAN_CAPTURED = "payment.orphan_captured"
    PAYMENT_ORPHAN_RETURNED = "payment.orphan_returned"
    PAYMENT_CREDIT_AUTHORIZED = "payment.credit_authorized"
    PAYMENT_CREDIT_VOIDED = "payment.credit_voided"
    PAYMENT_CREDIT_CAPTURED = "payment.credit_captured"
    PAYMENT_CREDIT_REFUNDED = "payment.credit_refunded"

    PARCEL_PICKED = "parcel.picked"
    PARCEL_BOOKED = "parcel.booked"
    PARCEL_REFUSED = "parcel.refused"
    PARCEL_ON_HOLD = "parcel.on_hold"
    PARCEL_LATE = "parcel.late"
    PARCEL_DISPATCHED = "parcel.dispatched"
    PARCEL_IN_TRANSIT = "parcel.in_transit"
    PARCEL_OUT_FOR_DELIVERY = "parcel.out_for_delivery"
    PARCEL_EXCEPTION = "parcel.exception"
    PARCEL_DELIVERED = "parcel.delivered"
    PARCEL_RETURNED = "parcel.returned"
    PARCEL_LOST = "parcel.lost"
    PARCEL_CANCELLED = "parcel.cancelled"
    PARCEL_REDUCED = "parcel.reduced"
    PARCEL_RESOLVED = "parcel.resolved"

    PRODUCT_CREATED = "product.created"
    PRODUCT_CHANGED = "product.changed"
    PRODUCT_ARCHIVED = "product.archived"
    PRODUCT_PRICE_CHANGED = "product.price_changed"

    STOCK_LOW = "stock.low"
    STOCK_OUT = "stock.out"
    STOCK_BACK = "stock.back"


def order_event(status: OrderStatus) -> EventType:
    """What is recorded when an order comes to this status, which has an event of its own name."""
    return EventType(f"order.{status}")


def parcel_event(status: ParcelStatus) -> EventType:
    """What is recorded when a parcel comes to this status."""
    return EventType(f"parcel.{status}")


class SecurityEventType(StrEnum):
    """The events of accounts and of the clients of the API, kept in the audit log of security alone."""

    ACCOUNT_REGISTERED = "account.registered"
    ACCOUNT_CLOSED = "account.closed"
    ACCOUNT_LOCKED = "account.locked"
    ACCOUNT_UNLOCKED = "account.unlocked"
    ACCOUNT_ROLES_CHANGED = "account.roles_changed"
    ACCOUNT_SIGNED_OUT_EVERYWHERE = "account.signed_out_everywhere"
    EMAIL_VERIFIED = "email.verified"
    EMAIL_CHANGED = "email.changed"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105
    PASSWORD_RESET = "password.reset"  # noqa: S105
    PASSWORD_RESET_REQUESTED = "password.reset_requested"  # noqa: S105
    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    LOGIN_BLOCKED = "login.blocked"
    EXTERNAL_LINKED = "external.linked"
    API_KEY_MADE = "api_key.made"
    API_KEY_ENDED = "api_key.ended"
    OAUTH_CLIENT_CREATED = "oauth.client_created"
    OAUTH_CLIENT_CHANGED = "oauth.client_changed"
    OAUTH_CLIENT_DEACTIVATED = "oauth.client_deactivated"
    OAUTH_CLIENT_SECRET_REPLACED = "oauth.client_secret_replaced"  # noqa: S105
    OAUTH_REVOKED = "oauth.revoked"
    OAUTH_CODE_REPLAYED = "oauth.code_replayed"
    OAUTH_REFRESH_REUSED = "oauth.refresh_reused"
