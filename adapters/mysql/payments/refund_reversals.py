"""Refunds that fail after they had succeeded: the money is ours again and can be refunded another way."""

from typing import Any

import sqlalchemy as sa

from adapters.mysql.bounds import fitted
from adapters.mysql.clock import now
from adapters.mysql.history import lock_order
from adapters.mysql.payments.ledger import write_entry
from adapters.mysql.tables.payments import payment_entries, refund_parts, refunds
from domain.ledger import EntryKind
from schemas.payments import RecordPayment
from schemas.refunds import RefundReversed, RefundStatus, ReverseRefund


def reverse(connection: sa.Connection, command: ReverseRefund) -> RefundReversed:
    """Book the reversal of a refund once, and mark the refund as failed; raises NotFound.

    A refund that was made at the provider is an entry in the ledger and has no row.
    """
    order = lock_order(connection, command.order_id)
    booked = _entry(connection, command, EntryKind.REFUND)
    if booked is None:
        return RefundReversed(pending=_is_pending(connection, command))
    part = connection.execute(
        sa.select(refund_parts).where(
            refund_parts.c.order_id == command.order_id, refund_parts.c.provider_refund_id == command.provider_id
        )
    ).one_or_none()
    if _entry(connection, command, EntryKind.REFUND_REVERSAL) is None:
        entry = RecordPayment(
            order_id=command.order_id,
            kind=EntryKind.REFUND_REVERSAL,
            amount=booked.amount,
            currency=booked.currency,
            provider_id=command.provider_id,
            idempotency_key=f"refund-reversal:{command.provider_id}",
            data={"code": command.code, **({"refund_id": part.refund_id} if part else {})},
        )
        write_entry(connection, order, entry, command.actor)
        if part is not None:
            _mark_failed(connection, part, command.code)
    return RefundReversed(amount=int(booked.amount), currency=booked.currency)


def _entry(connection: sa.Connection, command: ReverseRefund, kind: EntryKind) -> sa.Row[Any] | None:
    """The ledger's entry for it; a refund is one entry, and so is its reversal."""
    entries = payment_entries.c
    query = sa.select(payment_entries).where(
        entries.order_id == command.order_id, entries.provider_id == command.provider_id, entries.kind == kind
    )
    return connection.execute(query.order_by(entries.id).limit(1)).one_or_none()


def _is_pending(connection: sa.Connection, command: ReverseRefund) -> bool:
    this = sa.and_(refunds.c.id == command.refund_id, refunds.c.order_id == command.order_id)
    return connection.scalar(sa.select(refunds.c.status).where(this)) == RefundStatus.PENDING


def _mark_failed(connection: sa.Connection, part: sa.Row[Any], code: str) -> None:
    """Mark the part as failed, which frees its amount; the refund itself fails when no other part has succeeded."""
    mine = refund_parts.c.refund_id == part.refund_id
    this = sa.and_(mine, refund_parts.c.number == part.number)
    connection.execute(sa.update(refund_parts).where(this).values(status=RefundStatus.FAILED, failed_at=now()))
    succeeded = sa.select(refund_parts.c.number).where(mine, refund_parts.c.status == RefundStatus.SUCCEEDED).limit(1)
    status = RefundStatus.FAILED if connection.scalar(succeeded) is None else RefundStatus.SUCCEEDED
    changed = {"status": status, "failure_code": fitted(refunds.c.failure_code, code)}
    connection.execute(sa.update(refunds).where(refunds.c.id == part.refund_id).values(changed))
