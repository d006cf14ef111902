"""Payments compared between provider, ledger and orders, page by page; and one order compared on request."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from temporalio import activity

from activities.failures import typed_failures
from domain.ledger import EntryKind
from domain.reconciliation import DifferenceStatus, compare, is_suspicious, is_suspicious_order
from schemas.payment_reconciliation import (
    Examined,
    ExaminePayments,
    OrphanedPayment,
    PaymentsReconciled,
    Phase,
    ReconciliationPlace,
    RefundFailedLater,
)

if TYPE_CHECKING:
    from adapters.mysql.payments.differences import PaymentDifferences
    from adapters.mysql.payments.facts import After, FirstEntry, PaymentFactsReader
    from adapters.payments.listing import PaymentListing

_PAGE = 100
_HEARTBEAT_SECONDS = 5.0
T = TypeVar("T")
Automatic = OrphanedPayment | RefundFailedLater  # what a run has another workflow repair without an operator
_MOST_AUTOMATIC = 100  # of each in one run; the next finds the others
_SLACK = timedelta(minutes=10)  # between a payment at the provider and its ledger entry; and between two clocks


class PaymentsRunning(Protocol):
    """What Temporal knows of the workflows that move money."""

    async def is_payment_running(self, order_id: str, payment_ids: Iterable[str]) -> bool:
        """Whether a workflow of the order's payments runs."""


@dataclass(frozen=True)
class _Page:
    """The result of one page: orders to compare in full, its size, and where the next begins."""

    suspects: Sequence[ExaminePayments]
    count: int
    cursor: str | None


class PaymentReconciliationActivities:
    """Reads provider, ledger and orders; only differences are written."""

    def __init__(
        self,
        listing: "PaymentListing",
        facts: "PaymentFactsReader",
        differences: "PaymentDifferences",
        running: PaymentsRunning,
        look_back: timedelta,
    ) -> None:
        self._listing = listing
        self._facts = facts
        self._differences = differences
        self._running = running
        self._look_back = look_back

    @activity.defn
    def examine_payments(self, command: ExaminePayments) -> Examined:
        """Compare provider, ledger and order at this moment."""
        with typed_failures():
            return self._examine(command)

    @activity.defn
    async def reconcile_payments(self, start: ReconciliationPlace) -> ReconciliationPlace:
        """Compare one phase of the last days; a repeat continues after the last heartbeat."""
        details = activity.info().heartbeat_details
        place = ReconciliationPlace.model_validate(details[0]) if details else start
        began_at = place.began_at or datetime.now(UTC)  # by the clock of the ledger
        place = place.model_copy(update={"began_at": began_at})
        read_page = {
            Phase.PAYMENTS: self._payments,
            Phase.REFUNDS: self._refunds,
            Phase.ENTRIES: self._entries,
            Phase.ORDERS: self._orders,
            Phase.FOUND_BEFORE: self._found_before,
        }[Phase(start.phase)]
        while place.phase is start.phase:
            page = await _with_heartbeats(place, partial(read_page, began_at, place.cursor))
            found = [repair for suspect in page.suspects for repair in await self._compare(suspect, place)]
            place = _next_place(place, page, found)
            activity.heartbeat(place)
        return place

    @activity.defn
    def finish_reconciliation(self, place: ReconciliationPlace) -> PaymentsReconciled:
        """Store the result of a whole run."""
        counts = {
            "open": self._differences.count(DifferenceStatus.OPEN),
            "watched": self._differences.count(DifferenceStatus.WATCHED),
        }
        done = place.so_far.model_copy(update=counts)
        assert place.began_at is not None
        self._differences.keep_run(place.began_at, done)
        return done

    # --- the phases: each reads one page from a cursor on

    def _payments(self, began_at: datetime, cursor: str | None) -> _Page:
        page = self._listing.payments(self._window(began_at), cursor)
        ledgers = self._facts.of_orders({payment.order_id for payment in page.payments})
        suspects = [
            ExaminePayments(order_id=payment.order_id, payment_ids=[payment.provider_id])
            for payment in page.payments
            if is_suspicious(payment, ledgers.get(payment.order_id))
        ]
        return _Page(suspects, len(page.payments), page.after)

    def _refunds(self, began_at: datetime, cursor: str | None) -> _Page:
        page = self._listing.refunds(self._window(began_at), cursor)
        booked = self._facts.amounts([listed.refund.provider_id for listed in page.refunds])
        suspects = []
        for listed in page.refunds:
            if booked.get(listed.refund.provider_id) != listed.refund.amount:
                order_id = listed.order_id or self._order_of(listed.payment_id)
                if order_id:
                    suspects.append(ExaminePayments(order_id=order_id, payment_ids=[listed.payment_id]))
        return _Page(suspects, len(page.refunds), page.after)

    def _entries(self, began_at: datetime, cursor: str | None) -> _Page:
        since = began_at - self._look_back
        first = self._facts.first_entries(since, _after(cursor), _PAGE)
        known = self._listed_at_provider(first)
        suspects = [ExaminePayments(order_id=entry.order_id) for entry in first if entry.provider_id not in known]
        last = (first[-1].occurred_at, first[-1].id) if len(first) == _PAGE else None
        return _Page(suspects, len(first), _cursor(last))

    def _orders(self, began_at: datetime, cursor: str | None) -> _Page:
        ledgers, after = self._facts.recent_orders(began_at - self._look_back, _after(cursor), _PAGE)
        suspects = [ExaminePayments(order_id=ledger.order_id) for ledger in ledgers if is_suspicious_order(ledger)]
        return _Page(suspects, len(ledgers), _cursor(after))

    def _found_before(self, began_at: datetime, cursor: str | None) -> _Page:
        orders, after = self._differences.unseen_since(began_at, int(cursor or 0), _PAGE)
        return _Page(orders, 0, str(after) if after is not None else None)

    def _listed_at_provider(self, first: "Sequence[FirstEntry]") -> set[str]:
        """Those that the provider lists around the time they were booked; the others are retrieved one by one."""
        if not first:
            return set()
        window = (first[0].occurred_at - _SLACK, first[-1].occurred_at + _SLACK)
        known: set[str] = set()
        after: str | None = None
        while True:
            payments = self._listing.payments(window, after)
            known.update(payment.provider_id for payment in payments.payments)
            if (after := payments.after) is None:
                break
        while True:
            refunds = self._listing.refunds(window, after)
            known.update(listed.refund.provider_id for listed in refunds.refunds)
            if (after := refunds.after) is None:
                return known

    # --- the full comparison

    async def _compare(self, suspect: ExaminePayments, place: ReconciliationPlace) -> list[Automatic]:
        """Compare all sides once it is known whether a workflow of the order runs; store what is found."""
        running = await self._running.is_payment_running(suspect.order_id, suspect.payment_ids)
        return await _with_heartbeats(place, partial(self._keep, suspect, running))

    def _keep(self, suspect: ExaminePayments, running: bool) -> list[Automatic]:
        examined = self._examine(suspect)
        currencies = [payment.currency for payment in examined.payments.values() if payment is not None]
        still_open = self._differences.keep(
            suspect.order_id,
            examined.ledger.status if examined.ledger else None,
            currencies[0] if currencies else None,
            examined.differences,
            running=running or examined.busy,
        )
        open_subjects = {difference.subject for difference in still_open}
        orphaned = dict.fromkeys(
            difference.subject
            for difference in examined.differences
            if difference.orphaned and difference.subject in open_subjects
        )
        failed = [difference for difference in examined.differences if difference.effect is EntryKind.REFUND_REVERSAL]
        return [
            *(OrphanedPayment(order_id=suspect.order_id, payment_id=payment_id) for payment_id in orphaned),
            *(
                RefundFailedLater(order_id=suspect.order_id, provider_id=difference.subject)
                for difference in failed
                if difference.subject in open_subjects
            ),
        ]

    def _examine(self, command: ExaminePayments) -> Examined:
        order_id = command.order_id
        ledger = self._facts.of_orders([order_id]).get(order_id)
        found_before = self._differences.payments_of(order_id)
        ids = dict.fromkeys([*(ledger.payments if ledger else []), *found_before, *command.payment_ids])
        payments = {payment_id: self._listing.payment(payment_id) for payment_id in ids}
        # Read again after the provider: what it has done is booked a moment later, never a moment before.
        ledger = self._facts.of_orders([order_id]).get(order_id)
        return Examined(
            ledger=ledger,
            payments=payments,
            differences=compare(order_id, ledger, payments),
            busy=self._facts.has_pending_refund(order_id),
        )

    def _order_of(self, payment_id: str) -> str:
        payment = self._listing.payment(payment_id)
        return payment.order_id if payment else ""

    def _window(self, began_at: datetime) -> tuple[datetime, datetime]:
        return began_at - self._look_back, began_at + _SLACK


def _cursor(after: "After | None") -> str | None:
    return None if after is None else f"{after[0].isoformat()} {after[1]}"


def _after(cursor: str | None) -> "After | None":
    """None at the beginning of a phase, and for a number alone: an earlier release went by that."""
    moment, _, number = (cursor or "").rpartition(" ")
    return (datetime.fromisoformat(moment), int(number)) if moment else None


async def _with_heartbeats(place: ReconciliationPlace, read: Callable[[], T]) -> T:
    """Run it in a thread, with heartbeats meanwhile: the provider may be slow."""
    reading = asyncio.create_task(asyncio.to_thread(read))
    while not (await asyncio.wait({reading}, timeout=_HEARTBEAT_SECONDS))[0]:
        activity.heartbeat(place)
    with typed_failures():
        return reading.result()


def _next_place(place: ReconciliationPlace, page: _Page, found: Sequence[Automatic]) -> ReconciliationPlace:
    so_far, phase = place.so_far, Phase(place.phase)
    orphaned = {
        payment.payment_id: payment for payment in (*so_far.orphaned, *found) if isinstance(payment, OrphanedPayment)
    }
    failed = {
        refund.provider_id: refund
        for refund in (*so_far.failed_refunds, *found)
        if isinstance(refund, RefundFailedLater)
    }
    changed: dict[str, object] = {
        "orphaned": list(orphaned.values())[:_MOST_AUTOMATIC],
        "failed_refunds": list(failed.values())[:_MOST_AUTOMATIC],
    }
    if phase is not Phase.FOUND_BEFORE:
        changed[phase.value] = getattr(so_far, phase.value) + page.count
    following = phase if page.cursor is not None else phase.next
    return place.model_copy(
        update={"phase": following, "cursor": page.cursor, "so_far": so_far.model_copy(update=changed)}
    )
