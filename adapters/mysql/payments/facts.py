"""What our ledger and orders say of payments, and how the ledger catches up with what the provider did."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from adapters.mysql.clock import aware, naive
from adapters.mysql.history import Change, append, lock_order, recorded
from adapters.mysql.payments.credit_balances import credit_of_orders
from adapters.mysql.payments.ledger import derived_status, write_entry
from adapters.mysql.payments.refund_reversals import reverse
from adapters.mysql.tables.orders import orders, parcels
from adapters.mysql.tables.payments import payment_entries, refunds
from adapters.mysql.transactions import in_transaction
from domain.events import EventType
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from domain.payment_facts import Entry, OrderLedger
from schemas.payment_reconciliation import CatchUp, CaughtUp, CorrectStatus
from schemas.payments import PaymentRecorded, RecordPayment
from schemas.refunds import RefundStatus, ReverseRefund

_DISPATCHED = [status for status in ParcelStatus if status.was_dispatched]
_COMPARED = (EntryKind.AUTHORIZATION, EntryKind.CAPTURE, EntryKind.VOID, EntryKind.REFUND)
_OF_A_REFUND = (EntryKind.REFUND, EntryKind.REFUND_REVERSAL)
_ORPHAN_TYPES = {
    EntryKind.AUTHORIZATION: EventType.PAYMENT_ORPHAN_AUTHORIZED,
    EntryKind.CAPTURE: EventType.PAYMENT_ORPHAN_CAPTURED,
    EntryKind.VOID: EventType.PAYMENT_ORPHAN_RETURNED,
    EntryKind.REFUND: EventType.PAYMENT_ORPHAN_RETURNED,
}


After = tuple[datetime, int]
"""Where a page of rows in the order of their moments ends: a moment, and the number of the last row that has it."""


@dataclass(frozen=True)
class FirstEntry:
    """The first line the ledger has of something at the provider."""

    id: int
    order_id: str
    provider_id: str
    occurred_at: datetime


class PaymentFactsReader:
    """Reads across the tables of orders and payments, and adds what the ledger lacks."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def of_orders(self, order_ids: Collection[str]) -> dict[str, OrderLedger]:
        """The ledger of those orders that exist, all as of one moment."""
        if not order_ids:
            return {}
        snapshot = self._engine.connect().execution_options(isolation_level="REPEATABLE READ")
        with snapshot as connection, connection.begin():
            return _ledgers(connection, order_ids)

    def first_entries(self, since: datetime, after: After | None, limit: int) -> list[FirstEntry]:
        """What the ledger has of payments and refunds since a moment, each once, the oldest first."""
        mine, earlier = payment_entries.c, payment_entries.alias().c
        known = sa.exists().where(earlier.provider_id == mine.provider_id, earlier.id < mine.id)
        query = (
            sa.select(mine.id, mine.order_id, mine.provider_id, mine.occurred_at)
            .where(_from(mine.occurred_at, since, mine.id, after), mine.kind.in_(_COMPARED), ~known)
            .order_by(mine.occurred_at, mine.id)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [
                FirstEntry(row.id, row.order_id, row.provider_id, aware(row.occurred_at))
                for row in connection.execute(query)
            ]

    def amounts(self, provider_ids: Collection[str]) -> dict[str, int]:
        """What the ledger has of these refunds, by the provider's ids; less what was reversed since."""
        entries = payment_entries.c
        net = sa.func.sum(sa.case((entries.kind == EntryKind.REFUND, entries.amount), else_=-entries.amount))
        query = (
            sa.select(entries.provider_id, net)
            .where(entries.provider_id.in_(provider_ids), entries.kind.in_(_OF_A_REFUND))
            .group_by(entries.provider_id)
        )
        with self._engine.connect() as connection:
            return {provider_id: int(amount) for provider_id, amount in connection.execute(query)}

    def recent_orders(self, since: datetime, after: After | None, limit: int) -> tuple[list[OrderLedger], After | None]:
        """Orders that have changed since a moment, by their last change; and the last of these when there may be more.

        One that changes meanwhile comes again.
        """
        changed, number = orders.c.updated_at, orders.c.number
        query = (
            sa.select(changed, number, orders.c.id)
            .where(_from(changed, since, number, after))
            .order_by(changed, number)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        ledgers = self.of_orders([row.id for row in rows])
        return list(ledgers.values()), (aware(rows[-1].updated_at), rows[-1].number) if len(rows) == limit else None

    def has_pending_refund(self, order_id: str) -> bool:
        """Whether a refund of the order is pending."""
        query = sa.select(refunds.c.id).where(refunds.c.order_id == order_id, refunds.c.status == RefundStatus.PENDING)
        with self._engine.connect() as connection:
            return connection.execute(query.limit(1)).one_or_none() is not None

    def catch_up(self, command: CatchUp) -> CaughtUp:
        """Write what the ledger lacks of a payment, with its events, in one transaction; raises NotFound.

        What the provider has done only ever grows, so an outdated answer adds nothing wrong, and a repeat
        finds nothing to add.
        """
        return in_transaction(self._engine, lambda connection: _catch_up(connection, command))

    def correct_status(self, command: CorrectStatus) -> PaymentRecorded:
        """Set the order's payment status by the sums of its ledger; raises NotFound."""
        return in_transaction(self._engine, lambda connection: _correct_status(connection, command))


def _from(
    moment: sa.ColumnElement[datetime], since: datetime, number: sa.ColumnElement[int], after: After | None
) -> sa.ColumnElement[bool]:
    """What comes next in the order of the moments, by their index: servers compare no pairs by one."""
    if after is None:
        return moment >= naive(since)
    return sa.and_(moment >= naive(after[0]), sa.or_(moment > naive(after[0]), number > after[1]))


def _ledgers(connection: sa.Connection, order_ids: Collection[str]) -> dict[str, OrderLedger]:
    entries: dict[str, list[Entry]] = defaultdict(list)
    lines = payment_entries.c
    for row in connection.execute(
        sa.select(lines.order_id, lines.kind, lines.amount, lines.provider_id)
        .where(lines.order_id.in_(order_ids))
        .order_by(lines.id)
    ):
        entries[row.order_id].append(Entry(EntryKind(row.kind), row.amount, row.provider_id))
    due, credit = _amounts_due(connection, order_ids), credit_of_orders(connection, order_ids)
    found = connection.execute(
        sa.select(orders.c.id, orders.c.status, orders.c.payment_status, orders.c.total).where(
            orders.c.id.in_(order_ids)
        )
    )
    return {
        row.id: OrderLedger(
            order_id=row.id,
            status=OrderStatus(row.status),
            payment_status=PaymentStatus(row.payment_status),
            total=row.total,
            amount_due=max(0, due.get(row.id, 0) - credit[row.id].authorized + credit[row.id].voided),
            entries=tuple(entries[row.id]),
            credit=credit[row.id],
        )
        for row in found
    }


def _amounts_due(connection: sa.Connection, order_ids: Collection[str]) -> Mapping[str, int]:
    query = (
        sa.select(parcels.c.order_id, sa.func.sum(parcels.c.amount))
        .where(parcels.c.order_id.in_(order_ids), parcels.c.status.in_(_DISPATCHED))
        .group_by(parcels.c.order_id)
    )
    return {order_id: int(amount) for order_id, amount in connection.execute(query)}


def _catch_up(connection: sa.Connection, command: CatchUp) -> CaughtUp:
    order = lock_order(connection, command.payment.order_id)
    status, written = order.payment_status, []
    for missing in list(_missing(connection, command)):
        order = lock_order(connection, order.id)  # its seq has moved
        status = write_entry(connection, order, missing, command.actor).payment_status
        written.append((missing.kind, missing.amount))
    for failed in _failed_refunds(connection, command):
        done = reverse(connection, failed)
        status = derived_status(connection, order.id)
        written.append((EntryKind.REFUND_REVERSAL, done.amount))
    return CaughtUp(recorded=written, payment_status=status)


def _failed_refunds(connection: sa.Connection, command: CatchUp) -> list[ReverseRefund]:
    """Refunds of it that the ledger calls done and the provider failed."""
    order_id = command.payment.order_id
    ledger = _ledgers(connection, [order_id])[order_id]
    return [
        ReverseRefund(order_id=order_id, provider_id=one.provider_id, code=one.code, actor=command.actor)
        for one in command.payment.failed_refunds
        if ledger.refunded(one.provider_id) > 0
    ]


def _missing(connection: sa.Connection, command: CatchUp) -> Iterator[RecordPayment]:
    payment = command.payment
    ledger = _ledgers(connection, [payment.order_id])[payment.order_id]

    def entry(kind: EntryKind, provider_id: str, amount: int, upto: int) -> RecordPayment:
        return RecordPayment(
            order_id=payment.order_id,
            kind=kind,
            amount=amount,
            currency=payment.currency,
            provider_id=provider_id,
            idempotency_key=f"{command.key}:{kind}-{upto}",
            event_type=_ORPHAN_TYPES[kind] if command.orphaned else None,
        )

    for kind in (EntryKind.AUTHORIZATION, EntryKind.CAPTURE, EntryKind.VOID):
        done = payment.done(kind)
        if (lacking := done - ledger.sum(kind, payment.provider_id)) > 0:
            yield entry(kind, payment.provider_id, lacking, done)
    pending = _pending(connection, payment.order_id)
    for refund in payment.refunds:
        lacking = refund.amount - ledger.refunded(refund.provider_id)
        if lacking > 0 and refund.refund_id not in pending:  # its own workflow is about to book it
            yield entry(EntryKind.REFUND, refund.provider_id, lacking, refund.amount)


def _pending(connection: sa.Connection, order_id: str) -> Sequence[str]:
    pending = sa.and_(refunds.c.order_id == order_id, refunds.c.status == RefundStatus.PENDING)
    return connection.scalars(sa.select(refunds.c.id).where(pending)).all()


def _correct_status(connection: sa.Connection, command: CorrectStatus) -> PaymentRecorded:
    order = lock_order(connection, command.order_id)
    right = derived_status(connection, order.id)
    if order.payment_status != right and recorded(connection, order.id, command.idempotency_key) is None:
        data = {"was": order.payment_status, "is": right}
        change = Change(
            command.idempotency_key, EventType.PAYMENT_STATUS_CORRECTED, command.actor, data, payment_status=right
        )
        append(connection, order, change)
    return PaymentRecorded(payment_status=right)
