"""Refunds that were asked for: one row each, so that two askers can never give back the same money."""

from typing import Any

import sqlalchemy as sa

from adapters.mysql.history import lock_order, now
from adapters.mysql.order_views import aware
from adapters.mysql.payments import balances, is_disputed, write_entry
from adapters.mysql.tables import orders, payment_entries, refunds
from adapters.mysql.transactions import in_transaction
from domain.errors import PaymentDisputed, RefundExceedsCaptured
from domain.ledger import Account, EntryKind, refundable
from schemas.base import Money
from schemas.payments import RecordPayment
from schemas.refunds import RefundInput, RefundList, RefundOpened, RefundStatus, RefundView, SettleRefund


class Refunds:
    """Notes refunds before money moves, and what came of them."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def open(self, command: RefundInput) -> RefundOpened:
        """Note the refund, once per id; raises RefundExceedsCaptured with what is left, PaymentDisputed, NotFound."""
        return in_transaction(self._engine, lambda connection: _open(connection, command))

    def settle(self, command: SettleRefund) -> RefundView:
        """Book what was given back, with its event; one that was refused promises its money no more. Repeat-safe."""
        return in_transaction(self._engine, lambda connection: _settle(connection, command))

    def of_order(self, order_id: str) -> RefundList:
        """All refunds of an order that exists, oldest first."""
        with self._engine.connect() as connection:
            query = sa.select(refunds).where(refunds.c.order_id == order_id).order_by(refunds.c.id)
            return RefundList(
                items=[_view(row) for row in connection.execute(query)],
                refundable=_refundable(connection, order_id),
            )


def _open(connection: sa.Connection, command: RefundInput) -> RefundOpened:
    lock_order(connection, command.order_id)
    row = _find(connection, command.refund_id)
    if row is None:
        if is_disputed(connection, command.order_id):
            raise PaymentDisputed("The payment is disputed: nothing can be given back until that is decided.")
        left = _refundable(connection, command.order_id)
        amount = left.amount if command.amount is None else command.amount
        _check(amount, command.currency or left.currency, left)
        connection.execute(
            sa.insert(refunds).values(
                id=command.refund_id,
                order_id=command.order_id,
                amount=amount,
                currency=left.currency,
                provider_id=_paid_by(connection, command.order_id),
                reason=command.reason,
                actor=command.actor,
                status=RefundStatus.PENDING,
                created_at=now(),
            )
        )
        row = _find(connection, command.refund_id)
        assert row is not None
    return RefundOpened(refund=_view(row), provider_id=row.provider_id)


def _check(amount: int, currency: str, left: Money) -> None:
    if amount > left.amount or left.amount <= 0 or currency != left.currency:
        message = "Nothing is left to give back." if left.amount <= 0 else "That is more than can be given back."
        if currency != left.currency:
            message = f"The order was paid in {left.currency}."
        raise RefundExceedsCaptured(message, refundable=left.model_dump())


def _settle(connection: sa.Connection, command: SettleRefund) -> RefundView:
    order = lock_order(connection, command.order_id)
    row = _find(connection, command.refund_id)
    assert row is not None, "it is noted before anything is asked of the provider"
    if row.status == RefundStatus.PENDING:
        status = RefundStatus.FAILED if command.failure_code else RefundStatus.SUCCEEDED
        changed = {"status": status, "failure_code": command.failure_code, "settled_at": now()}
        connection.execute(sa.update(refunds).where(refunds.c.id == command.refund_id).values(changed))
        if status is RefundStatus.SUCCEEDED:
            entry = RecordPayment(
                order_id=command.order_id,
                kind=EntryKind.REFUND,
                amount=row.amount,
                currency=row.currency,
                provider_id=command.provider_id or row.provider_id,
                idempotency_key=command.idempotency_key,
                data={"refund_id": command.refund_id, "reason": row.reason},
            )
            write_entry(connection, order, entry, row.actor)
    settled = _find(connection, command.refund_id)
    assert settled is not None
    return _view(settled)


def _refundable(connection: sa.Connection, order_id: str) -> Money:
    stands = balances(connection, order_id)
    pending = sa.and_(refunds.c.order_id == order_id, refunds.c.status == RefundStatus.PENDING)
    under_way = connection.scalar(sa.select(sa.func.sum(refunds.c.amount)).where(pending))
    currency = connection.scalar(sa.select(orders.c.currency).where(orders.c.id == order_id))
    left = refundable(-stands[Account.SALES], stands[Account.REFUNDS], int(under_way or 0), stands[Account.DISPUTED])
    return Money(amount=left, currency=str(currency))


def _paid_by(connection: sa.Connection, order_id: str) -> str:
    """The payment of the provider's that was captured; an order has one, because attempts end before the next."""
    entries = payment_entries.c
    captured = sa.select(entries.provider_id).where(entries.order_id == order_id, entries.kind == EntryKind.CAPTURE)
    return str(connection.execute(captured.limit(1)).scalar_one())


def _find(connection: sa.Connection, refund_id: str) -> sa.Row[Any] | None:
    return connection.execute(sa.select(refunds).where(refunds.c.id == refund_id)).one_or_none()


def _view(row: sa.Row[Any]) -> RefundView:
    return RefundView(
        id=row.id,
        order_id=row.order_id,
        amount=Money(amount=row.amount, currency=row.currency),
        reason=row.reason,
        status=row.status,
        actor=row.actor,
        failure_code=row.failure_code,
        created_at=aware(row.created_at),
        settled_at=aware(row.settled_at) if row.settled_at else None,
    )
