"""The payments ledger: append only, double entry, one row per effect at the provider and per idempotency key."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import aware, now
from adapters.mysql.history import Change, LockedOrder, append, lock_order, recorded, select_events
from adapters.mysql.payments.credit_balances import credit_of_order
from adapters.mysql.tables.orders import orders
from adapters.mysql.tables.payments import disputes, ledger_postings, payment_entries
from domain.actors import SYSTEM_ACTOR
from domain.events import EventType
from domain.ledger import Account, EntryKind, postings
from domain.orders import PaymentStatus
from domain.payment_facts import status_by_ledger
from domain.webhook_amounts import LedgerAmounts
from schemas.payments import PaymentEntry, PaymentRecorded, RecordDecline, RecordPayment

# What the provider keeps, and what a dispute moves, has no event of its own here: a dispute has its own events.
_EVENT_TYPES = {
    EntryKind.AUTHORIZATION: EventType.PAYMENT_AUTHORIZED,
    EntryKind.CAPTURE: EventType.PAYMENT_CAPTURED,
    EntryKind.VOID: EventType.PAYMENT_VOIDED,
    EntryKind.REFUND: EventType.PAYMENT_REFUNDED,
    EntryKind.REFUND_REVERSAL: EventType.PAYMENT_REFUND_FAILED,
}

_FIRST_AUTHORIZED = (
    sa.select(payment_entries.c.amount)
    .where(payment_entries.c.kind == EntryKind.AUTHORIZATION)
    .order_by(payment_entries.c.id)
    .limit(1)
)


class Ledger:
    """Entries and postings; balances are sums over postings, and nothing is ever updated."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def record(self, command: RecordPayment) -> PaymentRecorded:
        """Write the entry, the order's derived payment status and the event together; a repeat changes nothing."""
        with self._engine.begin() as connection:
            return write_entry(connection, lock_order(connection, command.order_id), command, SYSTEM_ACTOR)

    def record_decline(self, command: RecordDecline) -> PaymentRecorded:
        """Record the decline in the history; no money moved, so the ledger stays as it is."""
        with self._engine.begin() as connection:
            order = lock_order(connection, command.order_id)
            if recorded(connection, command.order_id, command.idempotency_key) is None:
                data = {"code": command.code, "message": command.message}
                append(
                    connection, order, Change(command.idempotency_key, EventType.PAYMENT_DECLINED, SYSTEM_ACTOR, data)
                )
            return PaymentRecorded(payment_status=order.payment_status)

    def has(self, provider_id: str, kind: EntryKind) -> bool:
        """Whether the ledger has such an entry for this payment of the provider's."""
        entries = payment_entries.c
        query = sa.select(entries.id).where(entries.provider_id == provider_id, entries.kind == kind).limit(1)
        with self._engine.connect() as connection:
            return connection.scalar(query) is not None

    def entries(self, order_id: str) -> list[PaymentEntry]:
        """The order's ledger, oldest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                sa.select(payment_entries).where(payment_entries.c.order_id == order_id).order_by(payment_entries.c.id)
            )
            return [
                PaymentEntry(
                    kind=row.kind,
                    amount=row.amount,
                    currency=row.currency,
                    provider_id=row.provider_id,
                    idempotency_key=row.idempotency_key,
                    occurred_at=aware(row.occurred_at),
                )
                for row in rows
            ]

    def recorded_amounts(self, order_id: str, provider_id: str) -> LedgerAmounts | None:
        """The amounts a payment should have by our ledger: the authorization, or before it what the card has to pay."""
        entries = payment_entries.c
        mine = sa.and_(entries.order_id == order_id, entries.provider_id == provider_id)
        query = sa.select(entries.kind, sa.func.sum(entries.amount)).where(mine).group_by(entries.kind)
        with self._engine.connect() as connection:
            order = connection.execute(
                sa.select(orders.c.total, orders.c.currency).where(orders.c.id == order_id)
            ).one_or_none()
            if order is None:
                return None
            sums = {kind: int(total) for kind, total in connection.execute(query)}
            credit, captured_in_all = (
                credit_of_order(connection, order_id),
                -balances(connection, order_id)[Account.SALES],
            )
            first = connection.scalar(_FIRST_AUTHORIZED.where(entries.order_id == order_id))
            requested = _last_requested_address(connection, order_id)
        held, captured = sums.get(EntryKind.AUTHORIZATION), sums.get(EntryKind.CAPTURE, 0)
        settled = held is not None and held == captured + sums.get(EntryKind.VOID, 0)
        whole = order.total - credit.authorized
        # As much as was authorized first is authorized again, even where the order costs less since, but no captures.
        wholes = dict.fromkeys((whole, whole if first is None else int(first)))
        if requested is not None:  # by the customer, for an address where the order costs more
            wholes[int(requested["amount_due"]["amount"]) - credit.authorized] = None
        again = [amount - captured_in_all for amount in wholes]
        amounts = (*wholes, *again) if held is None else (held,)
        return LedgerAmounts(amounts, order.currency, captured, settled)

    def balances(self, order_id: str) -> dict[Account, int]:
        """The balance of each account for this order, in minor units of its currency."""
        with self._engine.connect() as connection:
            return balances(connection, order_id)


def _last_requested_address(connection: sa.Connection, order_id: str) -> Mapping[str, Any] | None:
    """What its customer last asked for, from the order's history."""
    query = select_events(
        lambda events: sa.and_(events.c.order_id == order_id, events.c.type == EventType.ORDER_ADDRESS_REQUESTED),
        *("seq", "data"),
    )
    row = connection.execute(query.order_by(sa.desc("seq")).limit(1)).first()
    return None if row is None else row.data


def write_entry(connection: sa.Connection, order: LockedOrder, command: RecordPayment, actor: str) -> PaymentRecorded:
    """One effect with its postings, its fee and its event, in this transaction; a repeat changes nothing."""
    event = recorded(connection, command.order_id, command.idempotency_key)
    if event is not None:
        return PaymentRecorded(payment_status=event.payment_status)
    _post(connection, command)
    if command.fee:
        kept = {"kind": EntryKind.FEE, "amount": command.fee, "idempotency_key": f"{command.idempotency_key}:fee"}
        _post(connection, command.model_copy(update=kept))
    status = derived_status(connection, command.order_id)
    if command.kind in _EVENT_TYPES:
        change = Change(
            command.idempotency_key,
            command.event_type or _EVENT_TYPES[command.kind],
            actor,
            {"amount": {"amount": command.amount, "currency": command.currency}, **command.data},
            payment_status=status,
        )
        append(connection, order, change)
    return PaymentRecorded(payment_status=status)


def _post(connection: sa.Connection, command: RecordPayment) -> None:
    entries = payment_entries.c
    known = sa.select(entries.id).where(entries.idempotency_key == command.idempotency_key)
    if connection.scalar(known) is not None:
        return
    written = connection.execute(
        sa.insert(payment_entries).values(
            order_id=command.order_id,
            kind=command.kind,
            amount=command.amount,
            currency=command.currency,
            provider_id=command.provider_id,
            idempotency_key=command.idempotency_key,
            occurred_at=now(),
        )
    )
    (entry_id,) = written.inserted_primary_key or (None,)
    lines = postings(command.kind, command.amount).items()
    connection.execute(
        sa.insert(ledger_postings),
        [{"entry_id": entry_id, "account": account, "amount": amount} for account, amount in lines],
    )


def balances(connection: sa.Connection, order_id: str) -> dict[Account, int]:
    """The balance of each account for this order, as this transaction sees it."""
    query = (
        sa.select(ledger_postings.c.account, sa.func.sum(ledger_postings.c.amount))
        .join(payment_entries, payment_entries.c.id == ledger_postings.c.entry_id)
        .where(payment_entries.c.order_id == order_id)
        .group_by(ledger_postings.c.account)
    )
    found = {account: int(total) for account, total in connection.execute(query)}
    return {account: found.get(account, 0) for account in Account}


def is_disputed(connection: sa.Connection, order_id: str) -> bool:
    """Whether a dispute of the order is open."""
    open_disputes = sa.select(disputes.c.id).where(disputes.c.order_id == order_id, disputes.c.open)
    return connection.scalar(open_disputes.limit(1)) is not None


def derived_status(connection: sa.Connection, order_id: str) -> PaymentStatus:
    """The order's payment status; disputed while a dispute is open, whatever the sums say."""
    if is_disputed(connection, order_id):
        return PaymentStatus.DISPUTED
    rows = connection.execute(
        sa.select(payment_entries.c.kind, sa.func.sum(payment_entries.c.amount))
        .where(payment_entries.c.order_id == order_id)
        .group_by(payment_entries.c.kind)
    )
    sums = {EntryKind(kind): int(amount) for kind, amount in rows}
    total = connection.scalar(sa.select(orders.c.total).where(orders.c.id == order_id)) or 0
    return status_by_ledger(total, sums, credit_of_order(connection, order_id))
