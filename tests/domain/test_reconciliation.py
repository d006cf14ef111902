"""What is a difference between our payments and the provider's, and what is none."""

from collections.abc import Sequence

import pytest

from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from domain.payment_facts import Entry, OrderLedger, PaymentMade, RefundFailed, RefundMade
from domain.reconciliation import Difference, DifferenceKind, Repair, compare, is_suspicious, is_suspicious_order

A, C, V, R = EntryKind.AUTHORIZATION, EntryKind.CAPTURE, EntryKind.VOID, EntryKind.REFUND
BACK = EntryKind.REFUND_REVERSAL
S, P = OrderStatus, PaymentStatus


def entry(kind: EntryKind, amount: int = 100, of: str = "pi_1") -> Entry:
    return Entry(kind, amount, of)


def in_ledger(
    status: OrderStatus, payment: PaymentStatus, *entries: Entry, amount_due: int = 0, total: int = 100
) -> OrderLedger:
    return OrderLedger("o", status, payment, total, amount_due, entries)


def made(
    authorized: int = 0, captured: int = 0, held: int = 0, refunds: Sequence[int] = (), of: str = "pi_1"
) -> PaymentMade:
    refunded = tuple(RefundMade(f"re_{number}", amount) for number, amount in enumerate(refunds, 1))
    return PaymentMade(of, "o", "EUR", authorized, captured, held, sum(refunds), refunded)


PAID = (entry(A), entry(C))
HELD, CAPTURED, VOIDED = made(100, 0, 100), made(100, 100), made(100)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (in_ledger(S.DELIVERED, P.CAPTURED, *PAID, amount_due=100), [CAPTURED]),
        (in_ledger(S.CONFIRMED, P.AUTHORIZED, entry(A)), [HELD]),
        (in_ledger(S.FAILED, P.NOT_PAID), [made()]),
        (in_ledger(S.CANCELLED, P.VOIDED, entry(A), entry(V)), [VOIDED]),
        # What was refunded on purpose is no excess, nor is what a cancelled order's dispatched goods have cost.
        (
            in_ledger(S.DELIVERED, P.REFUNDED, *PAID, entry(R, of="re_1"), amount_due=100),
            [made(100, 100, refunds=[100])],
        ),
        (in_ledger(S.CANCELLED, P.CAPTURED, entry(A), entry(C, 60), entry(V, 40), amount_due=60), [made(100, 60)]),
        (in_ledger(S.DELIVERED, P.CAPTURED, total=0), []),
        (in_ledger(S.DELIVERED, P.DISPUTED, *PAID, amount_due=100), [CAPTURED]),
        (
            in_ledger(S.DELIVERED, P.CAPTURED, entry(A, of="pi_0"), entry(V, of="pi_0"), *PAID, amount_due=100),
            [CAPTURED],
        ),
    ],
)
def test_payments_that_agree(ours: OrderLedger, theirs: list[PaymentMade]) -> None:
    payments: dict[str, PaymentMade | None] = {one.provider_id: one for one in theirs}
    if "pi_0" in ours.payments:
        payments["pi_0"] = made(100, of="pi_0")
    assert compare("o", ours, payments) == []
    assert not any(is_suspicious(one, ours) for one in theirs)
    assert not is_suspicious_order(ours)


D = DifferenceKind


@pytest.mark.parametrize(
    ("ours", "theirs", "kind", "effect", "repair", "amount", "orphaned"),
    [
        (in_ledger(S.CONFIRMED, P.NOT_PAID), HELD, D.MISSING_IN_LEDGER, A, Repair.RECORD_MISSING, 100, False),
        (
            in_ledger(S.DELIVERED, P.AUTHORIZED, entry(A), amount_due=100),
            CAPTURED,
            D.MISSING_IN_LEDGER,
            C,
            Repair.RECORD_MISSING,
            100,
            False,
        ),
        (
            in_ledger(S.DELIVERED, P.CAPTURED, *PAID, amount_due=100),
            made(100, 100, refunds=[30]),
            D.MISSING_IN_LEDGER,
            R,
            Repair.RECORD_MISSING,
            30,
            False,
        ),
        (
            in_ledger(S.CANCELLED, P.AUTHORIZED, entry(A)),
            VOIDED,
            D.MISSING_IN_LEDGER,
            V,
            Repair.RECORD_MISSING,
            100,
            False,
        ),
        (
            in_ledger(S.DELIVERED, P.PARTIALLY_REFUNDED, *PAID, entry(R, 30, "re_9"), amount_due=100),
            CAPTURED,
            D.MISSING_AT_PROVIDER,
            R,
            Repair.MANUAL_REVIEW,
            0,
            False,
        ),
        (
            in_ledger(S.PROCESSING, P.PARTIALLY_CAPTURED, entry(A), entry(C, 30)),
            made(100, 50, 50),
            D.AMOUNT_MISMATCH,
            C,
            Repair.RECORD_MISSING,
            20,
            False,
        ),
        # Authorized or captured for an order that has ended: staff decide what the ledger knows; the rest is orphaned.
        (
            in_ledger(S.CANCELLED, P.AUTHORIZED, entry(A)),
            HELD,
            D.ORPHANED_AUTHORIZATION,
            A,
            Repair.VOID_AUTHORIZATION,
            100,
            False,
        ),
        (in_ledger(S.FAILED, P.NOT_PAID), HELD, D.ORPHANED_AUTHORIZATION, A, Repair.VOID_AUTHORIZATION, 100, True),
        (in_ledger(S.CANCELLED, P.CAPTURED, *PAID), CAPTURED, D.ORPHANED_CAPTURE, C, Repair.REFUND_CAPTURE, 100, False),
        (in_ledger(S.CANCELLED, P.NOT_PAID), CAPTURED, D.ORPHANED_CAPTURE, C, Repair.REFUND_CAPTURE, 100, True),
        # A second payment of an order that another has paid for.
        (
            in_ledger(S.DELIVERED, P.CAPTURED, entry(A, of="pi_0"), entry(C, of="pi_0"), amount_due=100),
            HELD,
            D.ORPHANED_AUTHORIZATION,
            A,
            Repair.VOID_AUTHORIZATION,
            100,
            True,
        ),
        (
            in_ledger(S.DELIVERED, P.AUTHORIZED, entry(A), amount_due=100),
            HELD,
            D.NOT_CAPTURED,
            C,
            Repair.CAPTURE_AUTHORIZATION,
            100,
            False,
        ),
        (
            in_ledger(S.DELIVERED, P.NOT_PAID, amount_due=100),
            made(),
            D.NOT_CAPTURED,
            C,
            Repair.MANUAL_REVIEW,
            100,
            False,
        ),
        # The ledger has lost a payment that the order's goods need: it is never returned.
        (
            in_ledger(S.DELIVERED, P.CAPTURED, amount_due=100),
            CAPTURED,
            D.MISSING_IN_LEDGER,
            A,
            Repair.RECORD_MISSING,
            100,
            False,
        ),
    ],
)
def test_one_cause_is_one_difference(
    ours: OrderLedger,
    theirs: PaymentMade,
    kind: DifferenceKind,
    effect: EntryKind,
    repair: Repair,
    amount: int,
    orphaned: bool,
) -> None:
    payments: dict[str, PaymentMade | None] = {theirs.provider_id: theirs}
    if "pi_0" in ours.payments:
        payments["pi_0"] = made(100, 100, of="pi_0")
    found = compare("o", ours, payments)
    assert is_suspicious(theirs, ours) or is_suspicious_order(ours)
    first = found[0]
    assert (first.kind, first.effect, first.repair, first.repair_amount, first.orphaned) == (
        kind,
        effect,
        repair,
        amount,
        orphaned,
    )
    lost_all = kind is D.MISSING_IN_LEDGER and not ours.entries and theirs.captured
    assert len(found) == (2 if lost_all else 1)


REFUNDED = (*PAID, entry(R, 30, "re_1"))
FAILED = PaymentMade("pi_1", "o", "EUR", 100, 100, failed_refunds=(RefundFailed("re_1", "lost_or_stolen_card"),))


def test_a_refund_that_failed_after_it_was_done() -> None:
    ours = in_ledger(S.DELIVERED, P.PARTIALLY_REFUNDED, *REFUNDED, amount_due=100)
    assert is_suspicious(FAILED, ours)
    (found,) = compare("o", ours, {"pi_1": FAILED})
    assert (found.kind, found.effect, found.repair) == (D.MISSING_IN_LEDGER, BACK, Repair.RECORD_MISSING)
    assert (found.subject, found.payment_id, found.repair_amount) == ("re_1", "pi_1", 30)


def test_a_refund_that_failed_and_is_recorded_as_such_is_no_difference() -> None:
    ours = in_ledger(S.DELIVERED, P.CAPTURED, *REFUNDED, entry(BACK, 30, "re_1"), amount_due=100)
    assert compare("o", ours, {"pi_1": FAILED}) == []
    assert not is_suspicious(FAILED, ours)
    assert not is_suspicious_order(ours)


def test_money_of_a_cancelled_order_whose_refund_failed_is_for_a_person() -> None:
    ours = in_ledger(S.CANCELLED, P.CAPTURED, *PAID, entry(R, of="re_1"), entry(BACK, of="re_1"))
    (found,) = compare("o", ours, {"pi_1": FAILED})
    assert (found.kind, found.repair, found.orphaned) == (D.ORPHANED_CAPTURE, Repair.REFUND_CAPTURE, False)


def test_a_wrong_status_alone() -> None:
    ours = in_ledger(S.DELIVERED, P.AUTHORIZED, *PAID, amount_due=100)
    assert compare("o", ours, {"pi_1": CAPTURED}) == [Difference(D.STATUS_MISMATCH, "o", Repair.CORRECT_STATUS)]


def test_a_payment_the_provider_never_had() -> None:
    ours = in_ledger(S.DELIVERED, P.CAPTURED, *PAID, amount_due=100)
    (found,) = compare("o", ours, {"pi_1": None})
    assert (found.kind, found.effect, found.repair) == (D.MISSING_AT_PROVIDER, A, Repair.MANUAL_REVIEW)


def test_a_payment_of_no_order() -> None:
    (found,) = compare("o", None, {"pi_1": HELD})
    assert (found.kind, found.repair, found.provider_amount) == (D.UNKNOWN_ORDER, Repair.MANUAL_REVIEW, 100)
    assert compare("o", None, {"pi_1": VOIDED}) == []
