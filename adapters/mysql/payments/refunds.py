"""Requested refunds: one row each, so that two requests can never refund the same money."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from adapters.mysql.bounds import fitted
from adapters.mysql.clock import aware, now
from adapters.mysql.history import lock_order
from adapters.mysql.payments.credit import refund_as_credit
from adapters.mysql.payments.ledger import is_disputed, write_entry
from adapters.mysql.payments.parcel_shares import left_of_parcel, refundable_of
from adapters.mysql.payments.refund_reversals import reverse
from adapters.mysql.tables.payments import payment_entries, refund_parts, refunds
from adapters.mysql.transactions import in_transaction
from domain.credit import spread
from domain.errors import PaymentDisputed, RefundExceedsCaptured
from domain.ledger import EntryKind
from schemas.base import Money
from schemas.payments import RecordPayment
from schemas.refunds import (
    CardPart,
    PartSettled,
    RefundInput,
    RefundList,
    RefundOpened,
    RefundReversed,
    RefundStatus,
    RefundView,
    ReverseRefund,
    SettleRefund,
    part_key,
)


class Refunds:
    """Records refunds before money moves, and their results."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def open(self, command: RefundInput) -> RefundOpened:
        """Record the refund, once per id; raises RefundExceedsCaptured with what is left, PaymentDisputed, NotFound.

        Of a parcel also NothingToRefund, when nothing of it was captured, or everything has been refunded.
        """
        return in_transaction(self._engine, lambda connection: _open(connection, command))

    def settle(self, command: SettleRefund) -> RefundView:
        """Book what was refunded, with its event; a refused refund frees its amount. Repeat-safe."""
        return in_transaction(self._engine, lambda connection: _settle(connection, command))

    def reverse(self, command: ReverseRefund) -> RefundReversed:
        """Book that a refund failed after it had succeeded, with its event; once. Raises NotFound."""
        return in_transaction(self._engine, lambda connection: reverse(connection, command))

    def of_order(self, order_id: str) -> RefundList:
        """All refunds of an order that exists, oldest first."""
        with self._engine.connect() as connection:
            query = sa.select(refunds).where(refunds.c.order_id == order_id).order_by(refunds.c.id)
            return RefundList(
                items=[_view(row, _parts(connection, row.id)) for row in connection.execute(query).all()],
                refundable=refundable_of(connection, order_id),
            )


def _open(connection: sa.Connection, command: RefundInput) -> RefundOpened:
    lock_order(connection, command.order_id)
    row = _find(connection, command.refund_id)
    if row is None:
        if is_disputed(connection, command.order_id):
            raise PaymentDisputed("The payment is disputed; nothing can be refunded until the dispute is decided.")
        left = refundable_of(connection, command.order_id)
        if command.parcel is not None:
            left = left.model_copy(
                update={"amount": left_of_parcel(connection, command.order_id, command.parcel, left)}
            )
        amount = left.amount if command.amount is None else command.amount
        _check(amount, command.currency or left.currency, left)
        connection.execute(
            sa.insert(refunds).values(
                id=command.refund_id,
                order_id=command.order_id,
                parcel=command.parcel,
                amount=amount,
                currency=left.currency,
                reason=command.reason,
                actor=command.actor,
                status=RefundStatus.PENDING,
                created_at=now(),
            )
        )
        _divide(connection, command, amount)
        row = _find(connection, command.refund_id)
        assert row is not None
    parts = _parts(connection, command.refund_id)
    by_card = [CardPart(number=p.number, provider_id=p.provider_id, amount=p.amount) for p in parts if p.provider_id]
    return RefundOpened(refund=_view(row, parts), parts=by_card)


def _divide(connection: sa.Connection, command: RefundInput, amount: int) -> None:
    """To the card what was captured of it, payment by payment; the rest becomes store credit again.

    All of it goes to one payment where that is named.
    """
    left = _left_of_payments(connection, command.order_id)
    by_card = spread(min(amount, sum(left.values())), list(left.values()))
    shares: list[tuple[str | None, int]] = [*zip(left, by_card, strict=True), (None, amount - sum(by_card))]
    if command.payment_id is not None:
        shares = [(command.payment_id, amount)]
    connection.execute(
        sa.insert(refund_parts),
        [
            {
                "refund_id": command.refund_id,
                "number": number,
                "order_id": command.order_id,
                "provider_id": provider_id,
                "amount": share,
                "status": RefundStatus.PENDING,
            }
            for number, (provider_id, share) in enumerate((share for share in shares if share[1]), start=1)
        ],
    )


def _check(amount: int, currency: str, left: Money) -> None:
    if amount > left.amount or left.amount <= 0 or currency != left.currency:
        message = "Nothing is left to refund." if left.amount <= 0 else "That is more than can be refunded."
        if currency != left.currency:
            message = f"The order was paid in {left.currency}."
        raise RefundExceedsCaptured(message, refundable=left.model_dump())


def _settle(connection: sa.Connection, command: SettleRefund) -> RefundView:
    lock_order(connection, command.order_id)
    row = _find(connection, command.refund_id)
    assert row is not None, "it is recorded before the provider is called"
    if row.status == RefundStatus.PENDING:
        settled_parts = {part.number: part for part in command.parts}
        failure = next((part.failure_code for part in command.parts if part.failure_code), None)
        parts = _parts(connection, command.refund_id)
        succeeded = {part.number: _has_succeeded(part, settled_parts.get(part.number), failure) for part in parts}
        for part in parts:
            status = RefundStatus.SUCCEEDED if succeeded[part.number] else RefundStatus.FAILED
            mine = sa.and_(refund_parts.c.refund_id == row.id, refund_parts.c.number == part.number)
            provider_id = settled_parts[part.number].provider_id if part.number in settled_parts else None
            values = {"status": status, "provider_refund_id": provider_id}
            connection.execute(sa.update(refund_parts).where(mine).values(values))
            if succeeded[part.number]:
                _book(connection, row, part, settled_parts.get(part.number), command)
        status = RefundStatus.SUCCEEDED if any(succeeded.values()) else RefundStatus.FAILED
        code = fitted(refunds.c.failure_code, failure) if failure else None
        changed = {"status": status, "failure_code": code, "settled_at": now()}
        connection.execute(sa.update(refunds).where(refunds.c.id == command.refund_id).values(changed))
    settled = _find(connection, command.refund_id)
    assert settled is not None
    return _view(settled, _parts(connection, command.refund_id))


def _has_succeeded(part: sa.Row[Any], settled: PartSettled | None, failure: str | None) -> bool:
    """Whether the part was refunded; store credit always is, unless the provider has refused the card's part."""
    if part.provider_id is None:
        return failure is None
    return settled is not None and settled.failure_code is None


def _book(
    connection: sa.Connection, row: sa.Row[Any], part: sa.Row[Any], settled: PartSettled | None, command: SettleRefund
) -> None:
    key = command.idempotency_key
    data: dict[str, object] = {"refund_id": row.id, "reason": row.reason}
    if part.provider_id is None:
        refund_as_credit(connection, row.order_id, part.amount, f"{key}:credit", row.actor, data)
        return
    entry = RecordPayment(
        order_id=row.order_id,
        kind=EntryKind.REFUND,
        amount=part.amount,
        currency=row.currency,
        provider_id=(settled.provider_id if settled else None) or part.provider_id,
        idempotency_key=part_key(key, part.number),
        data=data,
        event_type=command.event_type,
    )
    write_entry(connection, lock_order(connection, row.order_id), entry, row.actor)


def _left_of_payments(connection: sa.Connection, order_id: str) -> dict[str, int]:
    """What of each payment at the provider is captured and neither refunded nor about to be, oldest first."""
    entries, parts = payment_entries.c, refund_parts.c
    captures = (
        sa.select(entries.provider_id, sa.func.sum(entries.amount).label("captured"))
        .where(entries.order_id == order_id, entries.kind == EntryKind.CAPTURE)
        .group_by(entries.provider_id)
        .order_by(sa.func.min(entries.id))
    )
    refunded_parts = (
        sa.select(parts.provider_id, sa.func.sum(parts.amount))
        .where(parts.order_id == order_id, parts.provider_id.is_not(None), parts.status != RefundStatus.FAILED)
        .group_by(parts.provider_id)
    )
    refunded = {provider_id: int(amount) for provider_id, amount in connection.execute(refunded_parts)}
    return {
        row.provider_id: int(row.captured) - refunded.get(row.provider_id, 0) for row in connection.execute(captures)
    }


def _find(connection: sa.Connection, refund_id: str) -> sa.Row[Any] | None:
    return connection.execute(sa.select(refunds).where(refunds.c.id == refund_id)).one_or_none()


def _parts(connection: sa.Connection, refund_id: str) -> Sequence[sa.Row[Any]]:
    query = sa.select(refund_parts).where(refund_parts.c.refund_id == refund_id)
    return connection.execute(query.order_by(refund_parts.c.number)).all()


def _view(row: sa.Row[Any], parts: Sequence[sa.Row[Any]]) -> RefundView:
    refused = row.status == RefundStatus.FAILED
    counted = [part for part in parts if refused or part.status != RefundStatus.FAILED]

    def money(amounts: Iterable[int]) -> Money:
        return Money(amount=sum(amounts), currency=row.currency)

    return RefundView(
        id=row.id,
        order_id=row.order_id,
        parcel=row.parcel,
        amount=money(part.amount for part in counted),
        card=money(part.amount for part in counted if part.provider_id),
        store_credit=money(part.amount for part in counted if not part.provider_id),
        reason=row.reason,
        status=row.status,
        actor=row.actor,
        failure_code=row.failure_code,
        created_at=aware(row.created_at),
        settled_at=aware(row.settled_at) if row.settled_at else None,
        failed_at=next((aware(part.failed_at) for part in parts if part.failed_at), None),
    )
