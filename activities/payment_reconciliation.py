"""Payments compared between provider, ledger and orders, page by page; and one order looked at anew."""

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
    RefundSentBack,
)

if TYPE_CHECKING:
    from adapters.mysql.payments.differences import PaymentDifferences
    from adapters.mysql.payments.facts import FirstEntry, PaymentFactsReader
    from adapters.payments.listing import PaymentListing

_PAGE = 100
_SIGN_OF_LIFE_SECONDS = 5.0
T = TypeVar("T")
ByItself = OrphanedPayment | RefundSentBack  # what a run has another workflow put right without asking a person
_MOST_BY_ITSELF = 100  # of each in one run; the next finds the others
_SLACK = timedelta(minutes=10)  # between a payment at the provider and its line in the ledger; and two clocks


class PaymentsRunning(Protocol):
    """What Temporal knows of the workflows that move money."""

    async def is_payment_running(self, order_id: str, payment_ids: Iterable[str]) -> bool:
        """Whether one of the order's runs."""


@dataclass(frozen=True)
class _Page:
    """What one page has shown: orders worth the full comparison, how many it held, and where the next begins."""

    suspects: Sequence[ExaminePayments]
    count: int
    cursor: str | None


class PaymentReconciliationActivities:
    """Reads everybody's books; the only thing written is what differs."""

    def __init__(
        self,
        listing: "PaymentListing",
        books: "PaymentFactsReader",
        differences: "PaymentDifferences",
        running: PaymentsRunning,
        look_back: timedelta,
    ) -> None:
        self._listing = listing
        self._books = books
        self._differences = differences
        self._at_work = running
        self._look_back = look_back

    @activity.defn
    def examine_payments(self, command: ExaminePayments) -> Examined:
        """Ask provider, ledger and order how things stand at this moment."""
        with typed_failures():
            return self._examine(command)

    @activity.defn
    async def reconcile_payments(self, start: ReconciliationPlace) -> ReconciliationPlace:
        """Compare one phase of the last days; a repeat goes on after the last sign of life."""
        details = activity.info().heartbeat_details
        place = ReconciliationPlace.model_validate(details[0]) if details else start
        began_at = place.began_at or datetime.now(UTC)  # by the clock the books are kept by
        place = place.model_copy(update={"began_at": began_at})
        look = {
            Phase.PAYMENTS: self._payments,
            Phase.REFUNDS: self._refunds,
            Phase.ENTRIES: self._entries,
            Phase.ORDERS: self._orders,
            Phase.FOUND_BEFORE: self._found_before,
        }[Phase(start.phase)]
        while place.phase is start.phase:
            page = await _living(place, partial(look, began_at, place.cursor))
            found = [one for suspect in page.suspects for one in await self._look_closely(suspect, place)]
            place = _next_place(place, page, found)
            activity.heartbeat(place)
        return place

    @activity.defn
    def finish_reconciliation(self, place: ReconciliationPlace) -> PaymentsReconciled:
        """Write down what a whole run has come to."""
        counts = {
            "open": self._differences.count(DifferenceStatus.OPEN),
            "watched": self._differences.count(DifferenceStatus.WATCHED),
        }
        done = place.so_far.model_copy(update=counts)
        assert place.began_at is not None
        self._differences.keep_run(place.began_at, done)
        return done

    # --- the phases: each looks at one page from a cursor on

    def _payments(self, began_at: datetime, cursor: str | None) -> _Page:
        page = self._listing.payments(self._window(began_at), cursor)
        books = self._books.of_orders({one.order_id for one in page.payments})
        suspects = [
            ExaminePayments(order_id=one.order_id, payment_ids=[one.provider_id])
            for one in page.payments
            if is_suspicious(one, books.get(one.order_id))
        ]
        return _Page(suspects, len(page.payments), page.after)

    def _refunds(self, began_at: datetime, cursor: str | None) -> _Page:
        page = self._listing.refunds(self._window(began_at), cursor)
        noted = self._books.amounts([one.refund.provider_id for one in page.refunds])
        suspects = []
        for one in page.refunds:
            if noted.get(one.refund.provider_id) != one.refund.amount:
                order_id = one.order_id or self._order_of(one.payment_id)
                if order_id:
                    suspects.append(ExaminePayments(order_id=order_id, payment_ids=[one.payment_id]))
        return _Page(suspects, len(page.refunds), page.after)

    def _entries(self, began_at: datetime, cursor: str | None) -> _Page:
        since = began_at - self._look_back
        first = self._books.first_entries(since, int(cursor or 0), _PAGE)
        known = self._at_provider(first)
        suspects = [ExaminePayments(order_id=one.order_id) for one in first if one.provider_id not in known]
        return _Page(suspects, len(first), str(first[-1].id) if len(first) == _PAGE else None)

    def _orders(self, began_at: datetime, cursor: str | None) -> _Page:
        books, after = self._books.recent_orders(began_at - self._look_back, int(cursor or 0), _PAGE)
        suspects = [ExaminePayments(order_id=one.order_id) for one in books if is_suspicious_order(one)]
        return _Page(suspects, len(books), str(after) if after is not None else None)

    def _found_before(self, began_at: datetime, cursor: str | None) -> _Page:
        orders, after = self._differences.unseen_since(began_at, int(cursor or 0), _PAGE)
        return _Page(orders, 0, str(after) if after is not None else None)

    def _at_provider(self, first: "Sequence[FirstEntry]") -> set[str]:
        """Which of these the provider lists around the time they were booked; the others it is asked for singly."""
        if not first:
            return set()
        window = (first[0].occurred_at - _SLACK, first[-1].occurred_at + _SLACK)
        known: set[str] = set()
        after: str | None = None
        while True:
            payments = self._listing.payments(window, after)
            known.update(one.provider_id for one in payments.payments)
            if (after := payments.after) is None:
                break
        while True:
            refunds = self._listing.refunds(window, after)
            known.update(one.refund.provider_id for one in refunds.refunds)
            if (after := refunds.after) is None:
                return known

    # --- the full comparison

    async def _look_closely(self, suspect: ExaminePayments, place: ReconciliationPlace) -> list[ByItself]:
        """Compare all sides anew, now that it is known whether anything of the order moves; keep what is found."""
        running = await self._at_work.is_payment_running(suspect.order_id, suspect.payment_ids)
        return await _living(place, partial(self._keep, suspect, running))

    def _keep(self, suspect: ExaminePayments, running: bool) -> list[ByItself]:
        examined = self._examine(suspect)
        currencies = [one.currency for one in examined.payments.values() if one is not None]
        still_open = self._differences.keep(
            suspect.order_id,
            examined.ledger.status if examined.ledger else None,
            currencies[0] if currencies else None,
            examined.differences,
            running=running or examined.busy,
        )
        standing = {one.subject for one in still_open}
        orphaned = dict.fromkeys(
            one.subject for one in examined.differences if one.orphaned and one.subject in standing
        )
        failed = [one for one in examined.differences if one.effect is EntryKind.REFUND_REVERSAL]
        return [
            *(OrphanedPayment(order_id=suspect.order_id, payment_id=payment_id) for payment_id in orphaned),
            *(
                RefundSentBack(order_id=suspect.order_id, provider_id=one.subject)
                for one in failed
                if one.subject in standing
            ),
        ]

    def _examine(self, command: ExaminePayments) -> Examined:
        order_id = command.order_id
        books = self._books.of_orders([order_id]).get(order_id)
        found_before = self._differences.payments_of(order_id)
        ids = dict.fromkeys([*(books.payments if books else []), *found_before, *command.payment_ids])
        payments = {payment_id: self._listing.payment(payment_id) for payment_id in ids}
        # Read again after the provider: what it has done is booked a moment later, never a moment before.
        books = self._books.of_orders([order_id]).get(order_id)
        return Examined(
            ledger=books,
            payments=payments,
            differences=compare(order_id, books, payments),
            busy=self._books.has_pending_refund(order_id),
        )

    def _order_of(self, payment_id: str) -> str:
        payment = self._listing.payment(payment_id)
        return payment.order_id if payment else ""

    def _window(self, began_at: datetime) -> tuple[datetime, datetime]:
        return began_at - self._look_back, began_at + _SLACK


async def _living(place: ReconciliationPlace, look: Callable[[], T]) -> T:
    """Have it done in a thread, with signs of life: the provider may take its time."""
    looking = asyncio.create_task(asyncio.to_thread(look))
    while not (await asyncio.wait({looking}, timeout=_SIGN_OF_LIFE_SECONDS))[0]:
        activity.heartbeat(place)
    with typed_failures():
        return looking.result()


def _next_place(place: ReconciliationPlace, page: _Page, found: Sequence[ByItself]) -> ReconciliationPlace:
    so_far, phase = place.so_far, Phase(place.phase)
    orphaned = {one.payment_id: one for one in (*so_far.orphaned, *found) if isinstance(one, OrphanedPayment)}
    failed = {one.provider_id: one for one in (*so_far.failed_refunds, *found) if isinstance(one, RefundSentBack)}
    changed: dict[str, object] = {
        "orphaned": list(orphaned.values())[:_MOST_BY_ITSELF],
        "failed_refunds": list(failed.values())[:_MOST_BY_ITSELF],
    }
    if phase is not Phase.FOUND_BEFORE:
        changed[phase.value] = getattr(so_far, phase.value) + page.count
    following = phase if page.cursor is not None else phase.next
    return place.model_copy(
        update={"phase": following, "cursor": page.cursor, "so_far": so_far.model_copy(update=changed)}
    )
