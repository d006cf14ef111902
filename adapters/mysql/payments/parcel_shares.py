"""What can be refunded of one parcel: its share of the total as it was captured, less what was refunded of it.

A parcel that is shipped in the place of another has no share of its own: what was captured for the first is for both.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa

from adapters.mysql.payments.credit_balances import credit_of_order
from adapters.mysql.payments.ledger import balances, is_disputed
from adapters.mysql.tables.orders import orders, parcels
from adapters.mysql.tables.payments import credit_entries, payment_entries, refund_parts, refunds
from domain.credit import CreditKind
from domain.errors import NotFound, NothingToRefund, ParcelRefunded, PaymentDisputed, RefundExceedsCaptured
from domain.fulfilment import ParcelStatus
from domain.ledger import Account, EntryKind, refundable
from domain.orders import FINAL_STATUSES
from domain.replacements import ParcelState, lineage
from schemas.base import Money
from schemas.refunds import RefundStatus

Rows: TypeAlias = Mapping[int, sa.Row[Any]]
_DISPATCHED = sorted(status for status in ParcelStatus if status.was_dispatched)


def left_of_parcel(connection: sa.Connection, order_id: str, parcel: int, left: Money) -> int:
    """What can be refunded of the parcel, of what is `left` of its order; the caller holds the order's lock.

    What refunds that name no parcel have taken of the order is not refunded twice. Raises NotFound; NothingToRefund
    when that is final; RefundExceedsCaptured while the parcel may still be captured, or a pending refund still fail.
    """
    rows = _parcels_of(connection, order_id)
    same = _same_share(rows, parcel)
    share = _captured_of(connection, order_id, rows, same[0], left) - _refunded_of(connection, order_id, same)
    amount = min(share, left.amount)
    if (amount <= 0 or amount < share) and _any_is_pending(connection, order_id):
        message = "Another refund of the order is pending; try again when it has ended."
        raise RefundExceedsCaptured(message, refundable=left.model_dump())
    if amount <= 0:
        raise NothingToRefund(f"Nothing is left to refund of parcel {parcel}.")
    return amount


def check_not_refunded(connection: sa.Connection, order_id: str, parcel: int) -> None:
    """Raise unless all that was captured for the parcel is still ours; the caller holds the order's lock.

    PaymentDisputed while the bank has not decided, RefundExceedsCaptured while it may still be captured, and
    ParcelRefunded when something of it was refunded, or more of the order than it can spare.
    """
    if is_disputed(connection, order_id):
        raise PaymentDisputed("The payment is disputed; nothing is shipped again until the dispute is decided.")
    left, rows = refundable_of(connection, order_id), _parcels_of(connection, order_id)
    same = _same_share(rows, parcel)
    share = _captured_of(connection, order_id, rows, same[0], left)
    if _refunded_of(connection, order_id, same) or left.amount < share:
        message = f"What was paid for parcel {parcel} was refunded, or a part of it: it is not shipped again."
        raise ParcelRefunded(message, refundable=left.model_dump())


def refundable_of(connection: sa.Connection, order_id: str) -> Money:
    """What was captured of the order, less what was refunded, is about to be, or is disputed."""
    balance, credit = balances(connection, order_id), credit_of_order(connection, order_id)
    pending = sa.and_(refunds.c.order_id == order_id, refunds.c.status == RefundStatus.PENDING)
    pending_amount = connection.scalar(sa.select(sa.func.sum(refunds.c.amount)).where(pending))
    currency = connection.scalar(sa.select(orders.c.currency).where(orders.c.id == order_id))
    captured, refunded = credit.captured - balance[Account.SALES], credit.refunded + balance[Account.REFUNDS]
    left = refundable(captured, refunded, int(pending_amount or 0), balance[Account.DISPUTED])
    return Money(amount=left, currency=str(currency))


def _parcels_of(connection: sa.Connection, order_id: str) -> Rows:
    return {row.number: row for row in connection.execute(sa.select(parcels).where(parcels.c.order_id == order_id))}


def _same_share(rows: Rows, parcel: int) -> list[int]:
    """The parcels that the share is for, the first of which it was captured for."""
    if parcel not in rows:
        raise NotFound(f"The order has no parcel {parcel}.")
    return lineage([ParcelState(row.number, ParcelStatus(row.status), row.replaces) for row in rows.values()], parcel)


def _captured_of(connection: sa.Connection, order_id: str, rows: Rows, parcel: int, left: Money) -> int:
    """The parcel's share where everything that was dispatched is captured. Where something is missing, because a
    capture was declined and settled by hand, what is known to have been captured for this one.
    """
    share = int(rows[parcel].amount)
    due = sum(int(row.amount) for row in rows.values() if row.status in _DISPATCHED)
    balance, credit = balances(connection, order_id), credit_of_order(connection, order_id)
    missing = max(0, due - (credit.captured - balance[Account.SALES]))
    captured = min(share, max(share - missing, _captured_by_key(connection, order_id, parcel)))
    status = connection.scalar(sa.select(orders.c.status).where(orders.c.id == order_id))
    if captured < share and (status not in FINAL_STATUSES or balance[Account.HELD] + credit.held):
        raise RefundExceedsCaptured(f"Parcel {parcel} is not captured yet.", refundable=left.model_dump())
    return captured if rows[parcel].status in _DISPATCHED else 0


def _captured_by_key(connection: sa.Connection, order_id: str, parcel: int) -> int:
    """What PaymentWorkflow has captured for it: the step is in the key, and a second try is a step below it."""
    step = f"payment-{order_id}:capture-{parcel}"
    total = 0
    for table, kind in ((payment_entries, EntryKind.CAPTURE), (credit_entries, CreditKind.CAPTURE)):
        key = table.c.idempotency_key
        mine = sa.or_(key == step, key.startswith(f"{step}:", autoescape=True))
        amounts = sa.select(sa.func.sum(table.c.amount)).where(table.c.order_id == order_id, table.c.kind == kind, mine)
        total += int(connection.scalar(amounts) or 0)
    return total


def _refunded_of(connection: sa.Connection, order_id: str, same: Sequence[int]) -> int:
    """What was refunded of them, or is promised to be; a refund that failed, or failed later, is none."""
    mine = sa.and_(refunds.c.order_id == order_id, refunds.c.parcel.in_(same))
    parts = (
        sa.select(sa.func.sum(refund_parts.c.amount))
        .join(refunds, refunds.c.id == refund_parts.c.refund_id)
        .where(mine, refund_parts.c.status != RefundStatus.FAILED)
    )
    return int(connection.scalar(parts) or 0)


def _any_is_pending(connection: sa.Connection, order_id: str) -> bool:
    pending = sa.and_(refunds.c.order_id == order_id, refunds.c.status == RefundStatus.PENDING)
    return connection.scalar(sa.select(refunds.c.id).where(pending).limit(1)) is not None
