"""Store credit: append only, double entry, one row per move and per idempotency key, under its customer's lock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.clock import aware, now
from adapters.mysql.history import Change, append, lock_order
from adapters.mysql.payments.credit_balances import credit_balances, credit_of_order
from adapters.mysql.payments.ledger import derived_status
from adapters.mysql.tables.orders import orders
from adapters.mysql.tables.payments import credit_accounts, credit_entries
from adapters.mysql.transactions import in_transaction
from domain.actors import SYSTEM_ACTOR
from domain.credit import MOVES, CreditAccount, CreditKind, credit_to_authorize
from domain.errors import IdempotencyMismatch
from domain.events import EventType
from schemas.base import Money
from schemas.credit import (
    AuthorizeCredit,
    CaptureCredit,
    CreditBalance,
    CreditEntry,
    CreditMoved,
    CreditStatement,
    GrantCredit,
    VoidCredit,
)

_EVENT_TYPES = {
    CreditKind.AUTHORIZE: EventType.PAYMENT_CREDIT_AUTHORIZED,
    CreditKind.VOID: EventType.PAYMENT_CREDIT_VOIDED,
    CreditKind.CAPTURE: EventType.PAYMENT_CREDIT_CAPTURED,
    CreditKind.REFUND: EventType.PAYMENT_CREDIT_REFUNDED,
}


@dataclass(frozen=True)
class Granter:
    """Who grants credit, and under which Idempotency-Key."""

    actor: str
    idempotency_key: str


class StoreCredit:
    """The store credit of customers: what is available, what is authorized for orders, and every move."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def grant(self, customer_id: str, request: GrantCredit, granter: Granter) -> CreditEntry:
        """Grant a customer credit, once per key. Raises IdempotencyMismatch when the key granted something else."""

        def act(connection: sa.Connection) -> CreditEntry:
            _lock(connection, customer_id)
            before = _find(connection, granter.idempotency_key)
            if before is None:
                amount, key = request.amount, granter.idempotency_key
                move = _Move(CreditKind.GRANT, amount.amount, key, granter.actor, request.reason)
                _write(connection, customer_id, amount.currency, move)
                before = _find(connection, granter.idempotency_key)
                assert before is not None
            granted = (before.customer_id, before.amount, before.currency, before.reason)
            if granted != (customer_id, request.amount.amount, request.amount.currency, request.reason):
                raise IdempotencyMismatch("This Idempotency-Key was sent before with another grant.")
            return _view(before)

        return in_transaction(self._engine, act)

    def available(self, customer_id: str, currency: str) -> int:
        """What the customer could spend at this moment; only `authorize` secures it."""
        with self._engine.connect() as connection:
            balances = credit_balances(connection, customer_id).get(currency)
        return balances[CreditAccount.AVAILABLE] if balances else 0

    def statement(self, customer_id: str, before_id: int | None = None, limit: int = 50) -> CreditStatement:
        """A customer's balances, and every move, newest first; `next_cursor` is the id to continue before."""
        entries = credit_entries.c
        query = sa.select(credit_entries).where(entries.customer_id == customer_id)
        if before_id is not None:
            query = query.where(entries.id < before_id)
        with self._engine.connect() as connection:
            balances = credit_balances(connection, customer_id)
            rows = connection.execute(query.order_by(entries.id.desc()).limit(limit + 1)).all()
        return CreditStatement(
            balances=[
                CreditBalance(
                    available=Money(amount=found[CreditAccount.AVAILABLE], currency=currency),
                    held=Money(amount=found[CreditAccount.HELD], currency=currency),
                )
                for currency, found in balances.items()
            ],
            items=[_view(row) for row in rows[:limit]],
            next_cursor=str(rows[limit - 1].id) if len(rows) > limit else None,
        )

    def authorize(self, command: AuthorizeCredit) -> CreditMoved:
        """Authorize what the order can use of its customer's credit; a repeat answers the first attempt's amount."""
        return in_transaction(self._engine, lambda connection: _authorize(connection, command))

    def capture(self, command: CaptureCredit) -> CreditMoved:
        """Capture so much of what is authorized; a repeat captures nothing more."""

        def act(connection: sa.Connection) -> CreditMoved:
            locked = _locked(connection, command.order_id)
            before = _find(connection, command.idempotency_key)
            if before is None:
                held = credit_of_order(connection, command.order_id).held
                assert command.amount <= held, f"{command.amount} of {held} that are authorized"
                data = {"parcel": command.parcel}
                return _move(
                    connection, locked, _Move(CreditKind.CAPTURE, command.amount, command.idempotency_key, data=data)
                )
            return _moved(connection, locked, command.amount)

        return in_transaction(self._engine, act)

    def void(self, command: VoidCredit) -> CreditMoved:
        """Void whatever is still authorized for the order; a repeat finds nothing and does nothing."""

        def act(connection: sa.Connection) -> CreditMoved:
            locked = _locked(connection, command.order_id)
            held = credit_of_order(connection, command.order_id).held
            if not held:
                return _moved(connection, locked, 0)
            move = _Move(CreditKind.VOID, held, command.idempotency_key, reason=command.reason)
            return _move(connection, locked, move)

        return in_transaction(self._engine, act)


@dataclass(frozen=True)
class _LockedCredit:
    """An order and its customer's credit, both locked."""

    order_id: str
    customer_id: str
    currency: str
    total: int


@dataclass(frozen=True)
class _Move:
    """One move of credit, and the data of its event besides the amount."""

    kind: CreditKind
    amount: int
    key: str
    actor: str = SYSTEM_ACTOR
    reason: str | None = None
    data: Mapping[str, object] = field(default_factory=dict)


def refund_as_credit(
    connection: sa.Connection, order_id: str, amount: int, idempotency_key: str, actor: str, data: dict[str, object]
) -> None:
    """Book a refund as credit with its event, in the transaction that holds the order; a repeat changes nothing."""
    locked = _locked(connection, order_id)
    if _find(connection, idempotency_key) is None:
        move = _Move(CreditKind.REFUND, amount, idempotency_key, actor, str(data["reason"]), data)
        _move(connection, locked, move)


def _authorize(connection: sa.Connection, command: AuthorizeCredit) -> CreditMoved:
    locked = _locked(connection, command.order_id)
    before = _find(connection, command.idempotency_key)
    if before is not None:
        return _moved(connection, locked, int(before.amount))
    balances = credit_balances(connection, locked.customer_id).get(locked.currency)
    amount = credit_to_authorize(locked.total, balances[CreditAccount.AVAILABLE]) if balances else 0
    if not amount:
        return _moved(connection, locked, 0)
    return _move(connection, locked, _Move(CreditKind.AUTHORIZE, amount, command.idempotency_key))


def _locked(connection: sa.Connection, order_id: str) -> _LockedCredit:
    """Take both locks, the order's first, before anything is read: what is read then is what there is."""
    lock_order(connection, order_id)
    query = sa.select(orders.c.customer_id, orders.c.currency, orders.c.total).where(orders.c.id == order_id)
    row = connection.execute(query).one()
    _lock(connection, row.customer_id)
    return _LockedCredit(order_id, row.customer_id, row.currency, row.total)


def _lock(connection: sa.Connection, customer_id: str) -> None:
    """Lock the customer's account, which is created by its first move."""
    made = mysql_insert(credit_accounts).values(customer_id=customer_id, created_at=now())
    connection.execute(made.on_duplicate_key_update(customer_id=customer_id))


def _move(connection: sa.Connection, locked: _LockedCredit, move: _Move) -> CreditMoved:
    """One move for an order with its event and the order's payment status."""
    _write(connection, locked.customer_id, locked.currency, move, locked.order_id)
    data: dict[str, object] = {"amount": {"amount": move.amount, "currency": locked.currency}, **move.data}
    if move.reason:
        data["reason"] = move.reason
    status = derived_status(connection, locked.order_id)
    change = Change(move.key, _EVENT_TYPES[move.kind], move.actor, data, payment_status=status)
    append(connection, lock_order(connection, locked.order_id), change)
    return CreditMoved(amount=move.amount, payment_status=status)


def _write(
    connection: sa.Connection, customer_id: str, currency: str, move: _Move, order_id: str | None = None
) -> None:
    source, target = MOVES[move.kind]
    connection.execute(
        sa.insert(credit_entries).values(
            customer_id=customer_id,
            currency=currency,
            kind=move.kind,
            source=source,
            target=target,
            amount=move.amount,
            order_id=order_id,
            reason=move.reason,
            actor=move.actor,
            idempotency_key=move.key,
            occurred_at=now(),
        )
    )


def _moved(connection: sa.Connection, locked: _LockedCredit, amount: int) -> CreditMoved:
    return CreditMoved(amount=amount, payment_status=derived_status(connection, locked.order_id))


def _find(connection: sa.Connection, idempotency_key: str) -> sa.Row[Any] | None:
    query = sa.select(credit_entries).where(credit_entries.c.idempotency_key == idempotency_key)
    return connection.execute(query).one_or_none()


def _view(row: sa.Row[Any]) -> CreditEntry:
    return CreditEntry(
        id=row.id,
        kind=row.kind,
        amount=Money(amount=row.amount, currency=row.currency),
        order_id=row.order_id,
        reason=row.reason,
        actor=row.actor,
        occurred_at=aware(row.occurred_at),
    )
