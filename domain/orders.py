"""The order's statuses: allowed moves, and what is derived from its parcels and payments."""

from collections.abc import Sequence
from enum import StrEnum

from domain.errors import IllegalMove
from domain.fulfilment import ParcelStatus


class OrderStatus(StrEnum):
    """The order's status, as shown to the customer."""

    PENDING = "pending"
    AWAITING_PAYMENT = "awaiting_payment"
    AWAITING_CUSTOMER = "awaiting_customer"
    ON_HOLD = "on_hold"
    CONFIRMED = "confirmed"
    PROCESSING = "processing"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILED = "failed"
    COMPENSATION_BLOCKED = "compensation_blocked"


class PaymentStatus(StrEnum):
    """The payment status, derived from the payments ledger."""

    NOT_PAID = "not_paid"
    AUTHORIZED = "authorized"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    VOIDED = "voided"
    DISPUTED = "disputed"


class FulfilmentStatus(StrEnum):
    """The fulfilment status, derived from the parcels."""

    UNFULFILLED = "unfulfilled"
    PARTIALLY_SHIPPED = "partially_shipped"
    SHIPPED = "shipped"
    PARTIALLY_DELIVERED = "partially_delivered"
    DELIVERED = "delivered"
    RETURNED = "returned"


_S = OrderStatus
_WAYS_OUT = frozenset({_S.CANCELLING, _S.COMPENSATION_BLOCKED})

ALLOWED_MOVES: dict[OrderStatus, set[OrderStatus]] = {
    _S.PENDING: {_S.AWAITING_PAYMENT, _S.AWAITING_CUSTOMER, _S.ON_HOLD, _S.CONFIRMED, _S.FAILED, *_WAYS_OUT},
    _S.AWAITING_PAYMENT: {_S.ON_HOLD, _S.CONFIRMED, _S.PROCESSING, _S.SHIPPED, _S.FAILED, *_WAYS_OUT},
    _S.AWAITING_CUSTOMER: {_S.PENDING, _S.CONFIRMED, _S.FAILED, *_WAYS_OUT},
    # A parcel that could not be stopped any more is dispatched all the same.
    _S.ON_HOLD: {
        *(_S.CONFIRMED, _S.AWAITING_PAYMENT, _S.PROCESSING, _S.SHIPPED, _S.DELIVERED, _S.FAILED),
        *_WAYS_OUT,
    },
    # An order whose authorization expires while it waits for goods awaits its payment again.
    _S.CONFIRMED: {_S.PROCESSING, _S.AWAITING_PAYMENT, _S.ON_HOLD, _S.FAILED, *_WAYS_OUT},
    _S.PROCESSING: {  # a carrier may skip scans
        *(_S.SHIPPED, _S.DELIVERED, _S.AWAITING_PAYMENT, _S.ON_HOLD, _S.FAILED),
        *_WAYS_OUT,
    },
    _S.SHIPPED: {_S.DELIVERED, _S.AWAITING_PAYMENT, _S.FAILED, *_WAYS_OUT},  # everything was lost or came back
    _S.DELIVERED: {_S.COMPENSATION_BLOCKED},  # it was never paid for
    # Of an order that is compensated after something was dispatched, that goes on.
    _S.CANCELLING: {_S.CANCELLED, _S.FAILED, _S.COMPENSATION_BLOCKED, _S.SHIPPED, _S.DELIVERED},
    _S.CANCELLED: set(),
    _S.FAILED: {_S.DELIVERED},  # nothing had reached its customer, and then what was shipped again has
    _S.COMPENSATION_BLOCKED: {_S.CANCELLING, _S.CANCELLED, _S.FAILED, _S.SHIPPED, _S.DELIVERED},
}

NOT_DELIVERED = "not_delivered"
"""Why an order has failed of which everything was lost or came back."""

FINAL_STATUSES = frozenset({_S.DELIVERED, _S.CANCELLED, _S.FAILED})
WAITING_STATUSES = frozenset({_S.AWAITING_PAYMENT, _S.AWAITING_CUSTOMER})
"""The order waits for its customer."""

SOLD_STATUSES = frozenset({_S.CONFIRMED, _S.PROCESSING, _S.SHIPPED, _S.DELIVERED})


def check_move(current: OrderStatus, target: OrderStatus) -> None:
    """Raise IllegalMove unless the order may move from `current` to `target`; staying is allowed."""
    if target != current and target not in ALLOWED_MOVES[current]:
        raise IllegalMove(
            f"An order that is {current} cannot become {target}.", current=current.value, target=target.value
        )


# Nothing of these goes on before a person, or a deadline, has decided.
NEEDS_OPERATOR_STATUSES = frozenset({OrderStatus.COMPENSATION_BLOCKED, OrderStatus.ON_HOLD})


def payment_status(authorized: int, captured: int, refunded: int, voided: int) -> PaymentStatus:
    """The payment status by the ledger's sums, all in minor units and ≥ 0.

    Nothing is over while some of it is still held: it is `refunded` only when neither we nor the bank keep any of it.
    """
    held = authorized - captured - voided > 0
    if refunded:
        return PaymentStatus.PARTIALLY_REFUNDED if held or refunded < captured else PaymentStatus.REFUNDED
    if captured:
        return PaymentStatus.PARTIALLY_CAPTURED if held else PaymentStatus.CAPTURED
    if held:
        return PaymentStatus.AUTHORIZED
    return PaymentStatus.VOIDED if authorized else PaymentStatus.NOT_PAID


def fulfilment_status(parcels: Sequence[ParcelStatus]) -> FulfilmentStatus:
    """The fulfilment status by the statuses of all the order's parcels, `PLANNED` for those not booked yet.

    It is `RETURNED` when nothing is on its way or was delivered, and what was not lost is back at its sender.
    """
    standing = [parcel for parcel in parcels if not parcel.is_stopped]
    delivered = sum(parcel is ParcelStatus.DELIVERED for parcel in standing)
    moving = sum(parcel.was_dispatched for parcel in standing)
    if standing and delivered == len(standing):
        return FulfilmentStatus.DELIVERED
    if delivered:
        return FulfilmentStatus.PARTIALLY_DELIVERED
    if any(parcel is ParcelStatus.RETURNED for parcel in standing) and all(one.failed_delivery for one in standing):
        return FulfilmentStatus.RETURNED
    if standing and moving == len(standing):
        return FulfilmentStatus.SHIPPED
    return FulfilmentStatus.PARTIALLY_SHIPPED if moving else FulfilmentStatus.UNFULFILLED


def status_after_parcels(current: OrderStatus, parcels: Sequence[ParcelStatus]) -> OrderStatus:
    """The order's status with its parcels in these statuses.

    A parcel does not move an order that is being cancelled, and moves one on hold only when it was dispatched
    all the same.
    """
    if current not in (_S.CONFIRMED, _S.PROCESSING, _S.SHIPPED, _S.ON_HOLD):
        return current
    if current is _S.ON_HOLD and not any(parcel.was_dispatched for parcel in parcels):
        return current
    goods = fulfilment_status(parcels)
    standing = [parcel for parcel in parcels if not parcel.is_stopped]
    delivered_in_part = goods is FulfilmentStatus.PARTIALLY_DELIVERED and all(parcel.is_final for parcel in standing)
    if goods is FulfilmentStatus.DELIVERED or delivered_in_part:
        return _S.DELIVERED
    if current is _S.SHIPPED or (standing and all(parcel.was_dispatched for parcel in standing)):
        return _S.SHIPPED
    return current if all(parcel.is_without_booking for parcel in parcels) else _S.PROCESSING


def status_after_replacement(
    current: OrderStatus, replacement: ParcelStatus, parcels: Sequence[ParcelStatus]
) -> OrderStatus:
    """The same when a parcel that is shipped in the place of another comes to this status: it alone can still move an
    order that has failed.
    """
    if current is _S.FAILED and replacement is ParcelStatus.DELIVERED:
        return _S.DELIVERED
    return status_after_parcels(current, parcels)
