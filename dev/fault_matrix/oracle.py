"""The invariants of every order, checked on both sides: our records, and those of provider and carrier.

They are about money, stock, history, and that every order comes to its end. A violation is a sentence.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx2
import sqlalchemy as sa

from adapters.connections import Connections
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.stock import Stock
from adapters.mysql.orders.stock_reconciliations import StockReconciliations
from adapters.mysql.payments.credit_balances import credit_balances, credit_of_order
from adapters.mysql.payments.ledger import Ledger
from adapters.mysql.tables.orders import order_events, parcels
from adapters.mysql.tables.payments import credit_entries, ledger_postings, payment_entries, refund_parts
from domain.credit import CreditAccount
from domain.errors import IllegalMove
from domain.events import EventType
from domain.fulfilment import ParcelStatus
from domain.ledger import Account, EntryKind
from domain.orders import FINAL_STATUSES, OrderStatus, check_move
from schemas.base import Money
from schemas.orders import OrderEvent, OrderView
from schemas.picking import ParcelPicked
from schemas.refunds import RefundStatus

_MOVES = (EntryKind.AUTHORIZATION, EntryKind.CAPTURE, EntryKind.VOID, EntryKind.REFUND)
_DISPATCHED = [status for status in ParcelStatus if status.was_dispatched]


@dataclass(frozen=True)
class Sides:
    """Where both sides are read."""

    stores: Connections
    provider: str
    carrier: str


@dataclass(frozen=True)
class Expected:
    """What an order started with and what was refunded: units of a SKU of its own, refunds, its customer's credit.

    What an operator has `settled` by hand may be paid for elsewhere.
    """

    sku: str
    in_stock: int
    refunded: int = 0
    granted: Mapping[str, int] = field(default_factory=dict)
    settled: bool = False


def violations_at_end(sides: Sides, order_id: str, expected: Expected) -> Iterator[str]:
    """What is wrong with an order that has come to its end."""
    order = OrderStore(sides.stores.engine).get(order_id)
    journal = _json(f"{sides.provider}/_ledger", order_id=order_id)
    yield from _money(sides, order_id, order, journal, expected)
    yield from _credit(sides.stores, order_id, expected.granted)
    missing = _missing(sides.stores, order_id)
    yield from _stock(sides, order, expected.sku, expected.in_stock - missing)
    yield from _goods(sides, order_id, order)
    if order is not None:
        history = OrderStore(sides.stores.engine).history(order_id, 0, 500).items
        yield from _history(order, history)


def violations_while_running(sides: Sides) -> Iterator[str]:
    """What must hold at every moment, of all orders, all stock and all payments."""
    stores = sides.stores
    recorded = _recorded(stores)  # before the provider's ledger is read, because it acts first and is recorded after
    yield from _at_provider(_json(f"{sides.provider}/_ledger"), recorded)
    yield from _refunded_too_much(stores)
    for checked in StockReconciliations(stores.engine).check():
        yield from (f"stock: {difference}" for difference in checked.differences)
    posted, entries = ledger_postings.c, payment_entries.c
    unbalanced = sa.select(posted.entry_id).group_by(posted.entry_id).having(sa.func.sum(posted.amount) != 0)
    # Fees and disputed amounts may exceed what the provider has to pay out, so these accounts count together.
    side = sa.case((posted.account == Account.HELD, "held"), else_="paid").label("side")
    below_zero = (
        sa.select(entries.order_id, side)
        .join(ledger_postings, posted.entry_id == entries.id)
        .where(posted.account.in_([Account.HELD, Account.PROVIDER, Account.FEES, Account.DISPUTED]))
        .group_by(entries.order_id, "side")
        .having(sa.func.sum(posted.amount) < 0)
    )
    yield from _credit_below_zero(stores)
    with stores.engine.connect() as connection:
        yield from (f"ledger: entry {row.entry_id} does not sum to zero" for row in connection.execute(unbalanced))
        yield from (f"ledger: {row.side} of {row.order_id} is below zero" for row in connection.execute(below_zero))


def _at_provider(journal: list[dict[str, Any]], recorded: Mapping[tuple[str, str], int]) -> Iterator[str]:
    """The provider's own sums, and what our ledger says it has done."""
    moved: Counter[tuple[str, str]] = Counter()
    known: Counter[tuple[str, str]] = Counter()
    for row in journal:
        moved[row["intent"], row["effect"]] += row["amount"]
        known[row["order_id"], row["effect"]] += row["amount"]
    for intent in {intent for intent, _ in moved}:
        authorized, captured, voided, refunded = (moved[intent, kind] for kind in _MOVES)
        if captured + voided > authorized:
            yield f"provider: {captured} captured and {voided} voided of {intent}, of which {authorized} was authorized"
        if refunded > captured:
            yield f"provider: {refunded} refunded of {intent}, of which {captured} was captured"
    keys = Counter((row["idempotency_key"], row["effect"]) for row in journal if row["idempotency_key"])
    yield from (f"provider: {effect} twice under {key}" for (key, effect), times in keys.items() if times > 1)
    for (order_id, kind), ours in recorded.items():
        if ours > known[order_id, kind]:
            yield f"ledger: {kind} of {ours} of {order_id}, of which the provider has done {known[order_id, kind]}"


def _recorded(stores: Connections) -> Mapping[tuple[str, str], int]:
    entries = payment_entries.c
    sums = (
        sa.select(entries.order_id, entries.kind, sa.func.sum(entries.amount))
        .where(entries.kind.in_(_MOVES))
        .group_by(entries.order_id, entries.kind)
    )
    with stores.engine.connect() as connection:
        return {(order_id, str(kind)): int(amount) for order_id, kind, amount in connection.execute(sums)}


def _refunded_too_much(stores: Connections) -> Iterator[str]:
    """No more is refunded, or accepted to be, than was captured by card and as store credit."""
    parts = refund_parts.c
    accepted = (
        sa.select(parts.order_id, sa.func.sum(parts.amount))
        .where(parts.status != RefundStatus.FAILED)
        .group_by(parts.order_id)
    )
    with stores.engine.connect() as connection:
        for order_id, amount in connection.execute(accepted).all():
            captured = credit_of_order(connection, order_id).captured + _captured(connection, order_id)
            if amount > captured:
                yield f"refunds: {amount} of {order_id} is accepted, of which {captured} was captured"


def _captured(connection: sa.Connection, order_id: str) -> int:
    entries = payment_entries.c
    captures = sa.and_(entries.order_id == order_id, entries.kind == EntryKind.CAPTURE)
    return int(connection.scalar(sa.select(sa.func.sum(entries.amount)).where(captures)) or 0)


def unpublished(stores: Connections) -> int:
    """Events that no relay has published yet."""
    with stores.engine.connect() as connection:
        waiting = sa.select(sa.func.count()).where(order_events.c.published_at.is_(None))
        return int(connection.scalar(waiting) or 0)


def _money(
    sides: Sides, order_id: str, order: OrderView | None, journal: list[dict[str, Any]], expected: Expected
) -> Iterator[str]:
    entries = Ledger(sides.stores.engine).entries(order_id)
    theirs = Counter((row["effect"], row["amount"]) for row in journal if row["amount"])
    theirs += Counter((_fee_of(row), abs(row["fee"])) for row in journal if row["fee"])
    ours = Counter((entry.kind.value, entry.amount) for entry in entries if entry.amount)
    if theirs != ours:
        yield f"money: the provider did {dict(theirs)}, our ledger says {dict(ours)}"
    keys = Counter((row["idempotency_key"], row["effect"]) for row in journal if row["idempotency_key"])
    yield from (f"money: {effect} twice under {key}" for (key, effect), times in keys.items() if times > 1)
    done = dict.fromkeys(EntryKind, 0)
    for row in journal:
        done[EntryKind(row["effect"])] += row["amount"]
    if done[EntryKind.AUTHORIZATION] != done[EntryKind.CAPTURE] + done[EntryKind.VOID]:
        yield "money: something is still authorized at the end"
    with sides.stores.engine.connect() as connection:
        credit = credit_of_order(connection, order_id)
    due, captured = _dispatched_amount(sides.stores, order_id), done[EntryKind.CAPTURE] + credit.captured
    if captured > due or (captured < due and not expected.settled):
        yield f"money: {captured} was captured for goods worth {due}"
    wanted = order.total.amount - _not_charged(sides.stores, order_id) if order is not None else 0
    if order is not None and order.status is OrderStatus.DELIVERED and due != wanted:
        yield f"money: goods worth {due} were dispatched of an order of {wanted}"
    repaid = done[EntryKind.REFUND] - done[EntryKind.REFUND_REVERSAL] + credit.refunded
    if repaid != expected.refunded:
        yield f"money: {repaid} was refunded, {expected.refunded} was requested"


def _credit(stores: Connections, order_id: str, granted: Mapping[str, int]) -> Iterator[str]:
    """No credit is authorized at the end, and the balance changed only by what the order captured and refunded."""
    with stores.engine.connect() as connection:
        order = credit_of_order(connection, order_id)
        balances = {customer: credit_balances(connection, customer) for customer in granted}
    if order.held:
        yield f"credit: {order.held} is still authorized at the end"
    for customer, amount in granted.items():
        available = sum(accounts[CreditAccount.AVAILABLE] for accounts in balances[customer].values())
        if available != amount - order.captured + order.refunded:
            yield f"credit: {available} is left of {amount}, of which {order.captured} was captured"


def _credit_below_zero(stores: Connections) -> Iterator[str]:
    entries = credit_entries.c
    with stores.engine.connect() as connection:
        customers = connection.scalars(sa.select(entries.customer_id).distinct()).all()
        for customer in customers:
            for currency, balances in credit_balances(connection, customer).items():
                below = [name for name in (CreditAccount.AVAILABLE, CreditAccount.HELD) if balances[name] < 0]
                yield from (f"credit: {name} of {customer} is below zero in {currency}" for name in below)
                if sum(balances.values()):
                    yield f"credit: the accounts of {customer} do not sum to zero"


def _fee_of(row: dict[str, Any]) -> str:
    """The kind of our ledger entry for such a fee; a negative one was returned."""
    if not row["effect"].startswith("dispute"):
        return EntryKind.FEE.value
    return (EntryKind.DISPUTE_FEE if row["fee"] > 0 else EntryKind.DISPUTE_FEE_REVERSAL).value


def _stock(sides: Sides, order: OrderView | None, sku: str, in_stock: int) -> Iterator[str]:
    levels = Stock(sides.stores.engine).levels(sku)
    on_hand, reserved = sum(level.on_hand for level in levels), sum(level.reserved for level in levels)
    own = order.parcels if order is not None else []
    dispatched = sum(
        line.quantity for parcel in own if ParcelStatus(parcel.status).was_dispatched for line in parcel.lines
    )
    if on_hand != in_stock - dispatched:
        yield f"stock: {on_hand} on hand, of {in_stock} in stock {dispatched} were dispatched"
    if reserved:
        yield f"stock: {reserved} still reserved at the end"


def _missing(stores: Connections, order_id: str) -> int:
    """Units that staff did not find when they picked a parcel."""
    events = OrderStore(stores.engine).history(order_id).items
    picks = [ParcelPicked.model_validate(one.data) for one in events if one.type == EventType.PARCEL_PICKED]
    return sum(line.quantity for picked in picks for line in picked.missing)


def _goods(sides: Sides, order_id: str, order: OrderView | None) -> Iterator[str]:
    ours = {parcel.number: parcel.status for parcel in order.parcels} if order is not None else {}
    for number in ours or [1]:
        shipments = _json(f"{sides.carrier}/_ledger", reference=f"{order_id}-{number}")
        live = [row["status"] for row in shipments if not ParcelStatus(row["status"]).is_stopped]
        if live != ([ours[number]] if number in ours and ParcelStatus(ours[number]).was_dispatched else []):
            yield f"goods: parcel {number} is {ours.get(number)}, the carrier has {live}"


def _dispatched_amount(stores: Connections, order_id: str) -> int:
    dispatched = sa.and_(parcels.c.order_id == order_id, parcels.c.status.in_(_DISPATCHED))
    with stores.engine.connect() as connection:
        return int(connection.scalar(sa.select(sa.func.sum(parcels.c.amount)).where(dispatched)) or 0)


def _not_charged(stores: Connections, order_id: str) -> int:
    """What was cancelled of the order, as its customer was answered; one that was adopted may not have come to that."""
    events = OrderStore(stores.engine).history(order_id).items
    adopted = any(event.type == EventType.ORDER_ADOPTED for event in events)
    cancelled = EventType.PARCEL_REDUCED if adopted else EventType.ORDER_LINES_CANCELLED
    amounts = [event.data["not_charged"] for event in events if event.type == cancelled]
    return sum(Money.model_validate(amount).amount for amount in amounts)


def _history(order: OrderView, history: list[OrderEvent]) -> Iterator[str]:
    if [event.seq for event in history] != list(range(1, len(history) + 1)):
        yield f"history: the seqs are {[event.seq for event in history]}"
    for before, after in pairwise(history):
        try:
            check_move(OrderStatus(before.status), OrderStatus(after.status))
        except IllegalMove as illegal:
            yield f"history: {illegal}"
    statuses = [ParcelStatus(parcel.status) for parcel in order.parcels]
    dispatched = any(status.was_dispatched and not status.failed_delivery for status in statuses)
    blocked = any(event.status is OrderStatus.COMPENSATION_BLOCKED for event in history)
    if dispatched and order.status is not OrderStatus.DELIVERED and not blocked:
        yield f"history: goods of an order that is {order.status} were dispatched, and it never needed an operator"
    if order.status not in FINAL_STATUSES:
        yield f"history: it ended {order.status}"
    if history[-1].status is not order.status:
        yield f"history: its last event says {history[-1].status}, the order {order.status}"


def _json(address: str, **query: str) -> list[dict[str, Any]]:
    answer = httpx2.get(address, params=query, timeout=30).raise_for_status().json()["data"]
    found: list[dict[str, Any]] = answer if isinstance(answer, list) else [answer] if answer else []
    return found
