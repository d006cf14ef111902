"""Payment reconciliation: provider, ledger and order compared.

Pure rules over sums in minor units. A difference comes with the repair that would resolve it; whether it is applied is
decided elsewhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.ledger import EntryKind
from domain.orders import FINAL_STATUSES, PaymentStatus
from domain.payment_facts import OrderLedger, PaymentMade, Payments

_K = EntryKind


class DifferenceKind(StrEnum):
    """The kind of a difference; where it concerns one kind of effect, the difference names it."""

    MISSING_IN_LEDGER = "missing_in_ledger"
    MISSING_AT_PROVIDER = "missing_at_provider"
    AMOUNT_MISMATCH = "amount_mismatch"
    ORPHANED_AUTHORIZATION = "orphaned_authorization"
    ORPHANED_CAPTURE = "orphaned_capture"
    NOT_CAPTURED = "not_captured"
    STATUS_MISMATCH = "status_mismatch"
    UNKNOWN_ORDER = "unknown_order"


class Repair(StrEnum):
    """The repair that would resolve a difference."""

    RECORD_MISSING = "record_missing"
    VOID_AUTHORIZATION = "void_authorization"
    REFUND_CAPTURE = "refund_capture"
    CAPTURE_AUTHORIZATION = "capture_authorization"
    CORRECT_STATUS = "correct_status"
    MANUAL_REVIEW = "manual_review"


class DifferenceStatus(StrEnum):
    """The status of a difference.

    While the order's workflows are running it is only watched: their next step may resolve it.
    """

    OPEN = "open"
    WATCHED = "watched"
    REPAIRING = "repairing"
    DISMISSED = "dismissed"
    REPAIRED = "repaired"
    RESOLVED_ITSELF = "resolved_itself"


@dataclass(frozen=True)
class Difference:
    """One difference. `subject` is the provider's id of a payment or refund, or the order's id.

    `orphaned` marks an orphaned payment, which is returned without a decision of staff.
    """

    kind: DifferenceKind
    subject: str
    repair: Repair
    effect: EntryKind | None = None
    payment_id: str | None = None
    provider_amount: int | None = None
    ledger_amount: int | None = None
    repair_amount: int = 0
    orphaned: bool = False


def due(ledger: OrderLedger, payment_id: str, payments: Payments) -> int:
    """How much of this payment the order needs: the value of its dispatched goods, less what other payments cover.

    Another payment covers what both the ledger and the provider have of it.
    """
    others = 0
    for other, made in payments.items():
        if made is not None and other != payment_id:
            others += min(ledger.committed(other), made.held + made.captured)
    return max(0, ledger.amount_due - others)


def is_orphaned(payment_id: str, ledger: OrderLedger, payments: Payments) -> bool:
    """Whether it is an orphaned payment: unknown to the ledger, for an order that has ended and needs none of it."""
    payment = payments[payment_id]
    unknown = payment is not None and payment.kept > 0 and ledger.committed(payment_id) == 0
    return unknown and ledger.status in FINAL_STATUSES and due(ledger, payment_id, payments) == 0


def compare(order_id: str, ledger: OrderLedger | None, payments: Payments) -> list[Difference]:
    """All differences of an order.

    What follows from another difference is not reported as well.
    """
    if ledger is None:
        return [_unknown(one) for one in payments.values() if one is not None and one.kept]
    found: list[Difference] = []
    for payment_id, payment in payments.items():
        found += _gone(payment_id, ledger) if payment is None else _of_payment(payment, ledger, payments)
    at_provider = [payment for payment in payments.values() if payment is not None]
    found += _failed_refunds(ledger, at_provider)
    if len(at_provider) == len(payments):
        found += _refunds_only_here(ledger, at_provider)
    if not found:
        found += _of_order(order_id, ledger, payments)
    return found


def is_suspicious(payment: PaymentMade, ledger: OrderLedger | None) -> bool:
    """Whether a payment, seen without the order's others, needs the full comparison."""
    if ledger is None:
        return payment.kept > 0
    sums_differ = any(_differs(payment, ledger, kind) for kind in (_K.AUTHORIZATION, _K.CAPTURE, _K.VOID))
    refunds_differ = payment.refunded != ledger.refunded()
    needless = (
        ledger.status in FINAL_STATUSES and payment.kept > 0 and (payment.held > 0 or payment.kept > ledger.amount_due)
    )
    return sums_differ or refunds_differ or needless or _ledger_differs(ledger)


def is_suspicious_order(ledger: OrderLedger) -> bool:
    """Whether our own records alone give reason to ask the provider."""
    return _ledger_differs(ledger) or (ledger.status in FINAL_STATUSES and _net(ledger) > ledger.amount_due)


def _of_payment(payment: PaymentMade, ledger: OrderLedger, payments: Payments) -> list[Difference]:
    if orphaned := _orphaned(payment, ledger, payments):
        return orphaned
    found = []
    for kind in (_K.AUTHORIZATION, _K.CAPTURE, _K.VOID):
        if _differs(payment, ledger, kind):
            theirs, ours = payment.done(kind), ledger.sum(kind, payment.provider_id)
            found.append(_mismatch(payment.provider_id, payment.provider_id, kind, theirs, ours))
    for refund in payment.refunds:
        ours = ledger.refunded(refund.provider_id)
        if refund.amount != ours:
            found.append(_mismatch(refund.provider_id, payment.provider_id, _K.REFUND, refund.amount, ours))
    return found


def _orphaned(payment: PaymentMade, ledger: OrderLedger, payments: Payments) -> list[Difference]:
    """Money of an ended order that has no goods to pay for."""
    if ledger.status not in FINAL_STATUSES:
        return []
    payment_id = payment.provider_id
    needed, orphaned = due(ledger, payment_id, payments), is_orphaned(payment_id, ledger, payments)
    captured = ledger.sum(_K.CAPTURE, payment_id)
    found = []
    if payment.held and payment.captured >= needed:
        kind, ours = DifferenceKind.ORPHANED_AUTHORIZATION, ledger.committed(payment_id) - captured
        values = (_K.AUTHORIZATION, payment_id, payment.held, ours, payment.held, orphaned)
        found.append(Difference(kind, payment_id, Repair.VOID_AUTHORIZATION, *values))
    excess = payment.captured - payment.refunded - needed
    if excess > 0:
        kind, kept = DifferenceKind.ORPHANED_CAPTURE, payment.captured - payment.refunded
        charge = (_K.CAPTURE, payment_id, kept, captured, excess, orphaned)
        found.append(Difference(kind, payment_id, Repair.REFUND_CAPTURE, *charge))
    return found


def _differs(payment: PaymentMade, ledger: OrderLedger, kind: EntryKind) -> bool:
    return payment.done(kind) != ledger.sum(kind, payment.provider_id)


def _mismatch(subject: str, payment_id: str, kind: EntryKind, theirs: int, ours: int) -> Difference:
    what = DifferenceKind.AMOUNT_MISMATCH
    if theirs == 0:
        what = DifferenceKind.MISSING_AT_PROVIDER
    elif ours == 0:
        what = DifferenceKind.MISSING_IN_LEDGER
    return Difference(
        what,
        subject,
        # The ledger is added to and never changed: what it has too much of is for a person.
        Repair.RECORD_MISSING if theirs > ours else Repair.MANUAL_REVIEW,
        kind,
        payment_id,
        theirs,
        ours,
        max(0, theirs - ours),
    )


def _gone(payment_id: str, ledger: OrderLedger) -> list[Difference]:
    return [_mismatch(payment_id, payment_id, _K.AUTHORIZATION, 0, ledger.sum(_K.AUTHORIZATION, payment_id))]


def _failed_refunds(ledger: OrderLedger, payments: Sequence[PaymentMade]) -> Iterator[Difference]:
    """Refunds that the ledger has as done and that have failed since: their money was returned to us."""
    for payment in payments:
        for failed in payment.failed_refunds:
            booked, back = ledger.sum(_K.REFUND, failed.provider_id), ledger.sum(_K.REFUND_REVERSAL, failed.provider_id)
            if booked > back:
                yield _mismatch(failed.provider_id, payment.provider_id, _K.REFUND_REVERSAL, booked, back)


def _refunds_only_here(ledger: OrderLedger, payments: Sequence[PaymentMade]) -> Iterator[Difference]:
    known = {refund.provider_id for payment in payments for refund in payment.refunds}
    known |= {failed.provider_id for payment in payments for failed in payment.failed_refunds}
    for entry in ledger.entries:
        if entry.kind is _K.REFUND and entry.provider_id not in known:
            payment_id = ledger.payments[0] if ledger.payments else entry.provider_id
            yield _mismatch(entry.provider_id, payment_id, _K.REFUND, 0, entry.amount)


def _of_order(order_id: str, ledger: OrderLedger, payments: Payments) -> Iterator[Difference]:
    captured = ledger.sum(_K.CAPTURE)
    if _lacks_capture(ledger):
        missing = ledger.amount_due - captured
        holding = next((one for one in payments.values() if one is not None and one.held >= missing), None)
        yield Difference(
            DifferenceKind.NOT_CAPTURED,
            order_id,
            Repair.CAPTURE_AUTHORIZATION if holding else Repair.MANUAL_REVIEW,
            _K.CAPTURE,
            holding.provider_id if holding else None,
            sum(one.captured for one in payments.values() if one is not None),
            captured,
            missing,
        )
    elif _wrong_status(ledger):
        yield Difference(DifferenceKind.STATUS_MISMATCH, order_id, Repair.CORRECT_STATUS)


def _ledger_differs(ledger: OrderLedger) -> bool:
    return _lacks_capture(ledger) or _wrong_status(ledger)


def _lacks_capture(ledger: OrderLedger) -> bool:
    return ledger.status in FINAL_STATUSES and ledger.sum(_K.CAPTURE) < ledger.amount_due


def _wrong_status(ledger: OrderLedger) -> bool:
    return ledger.payment_status not in (PaymentStatus.DISPUTED, ledger.derived_status)


def _net(ledger: OrderLedger) -> int:
    return ledger.sum(_K.AUTHORIZATION) - ledger.sum(_K.VOID) - ledger.refunded()


def _unknown(payment: PaymentMade) -> Difference:
    return Difference(
        DifferenceKind.UNKNOWN_ORDER,
        payment.provider_id,
        Repair.MANUAL_REVIEW,
        payment_id=payment.provider_id,
        provider_amount=payment.kept,
        ledger_amount=0,
    )
