"""Payments compared between provider, ledger and orders: runs, what they found, what is decided about it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from domain.payment_facts import OrderLedger, PaymentMade
from domain.reconciliation import Difference, DifferenceKind, DifferenceStatus, Repair
from schemas.base import Payload, Request


class Phase(StrEnum):
    """What a run looks at, one after the other: the provider's books, ours, and what earlier runs have found."""

    PAYMENTS = "payments"
    REFUNDS = "refunds"
    ENTRIES = "entries"
    ORDERS = "orders"
    FOUND_BEFORE = "found_before"
    DONE = "done"

    @property
    def next(self) -> "Phase":
        """What follows."""
        phases = list(Phase)
        return phases[phases.index(self) + 1]


class OrphanedPayment(Payload):
    """Money that arrived when nobody waited for it any more."""

    order_id: str
    payment_id: str


class RefundSentBack(Payload):
    """A refund that our books call done and that has failed at the provider since."""

    order_id: str
    provider_id: str


class PaymentsReconciled(Payload):
    """What a run has looked at, how many differences are open after it, and what it has begun to put right by itself:
    late money is given back, a refund that has failed is booked as such.
    """

    payments: int = 0
    refunds: int = 0
    entries: int = 0
    orders: int = 0
    open: int = 0
    watched: int = 0
    late: list[OrphanedPayment] = []
    failed_refunds: list[RefundSentBack] = []


class ReconciliationPlace(Payload):
    """How far a run is: when it began, its phase, the cursor within that, and what it has counted so far."""

    began_at: datetime | None = None
    phase: Phase = Phase.PAYMENTS
    cursor: str | None = None
    so_far: PaymentsReconciled = PaymentsReconciled()


class ExaminePayments(Payload):
    """Look at an order anew, on all sides: all payments the ledger knows, and those named."""

    order_id: str
    payment_ids: list[str] = []


class Examined(Payload):
    """What stands where at this moment, and what is wrong with it. `busy` while a refund of the order is under way."""

    books: OrderLedger | None
    payments: dict[str, PaymentMade | None]
    differences: list[Difference]
    busy: bool = False


class CatchUp(Payload):
    """Write into the ledger whatever it lacks of what the provider did; once, however often it is asked for.

    `late` money is told to the customer as such.
    """

    payment: PaymentMade
    key: str
    actor: str
    late: bool = False


class CaughtUp(Payload):
    """What was written: kind of effect and amount in minor units."""

    recorded: list[tuple[EntryKind, int]]
    payment_status: PaymentStatus


class CorrectStatus(Payload):
    """Make the order's payment status what the ledger's sums say."""

    order_id: str
    idempotency_key: str
    actor: str


# --- late money


class OrphanedPaymentInput(Payload):
    """Starts OrphanedPaymentWorkflow; the order no longer waits for a payment that is `abandoned`."""

    order_id: str
    payment_id: str
    given_up: bool = False


class OrphanedPaymentResult(Payload):
    """What was given back, in minor units."""

    voided: int = 0
    refunded: int = 0
    why_not: str | None = None


# --- differences and decisions


class DecisionAction(StrEnum):
    """What an operator wants done about a difference."""

    APPLY = "apply"
    DISMISS = "dismiss"


class DifferenceDecisionRequest(Request):
    """`POST /v1/ops/reconciliation/payments/differences/{id}/decision`."""

    action: Annotated[DecisionAction, Field(description="Apply the proposed repair, or leave it as it is for good.")]
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class DecideDifference(Payload):
    """The same with who decides it; what PaymentRepairWorkflow is started with."""

    decision_id: str
    difference_id: int
    action: DecisionAction
    reason: str
    actor: str


class DecisionAnswer(Payload):
    """What came of a decision: the difference as it stands then, or why nothing was begun."""

    difference: "PaymentDifference | None" = None
    code: str | None = None
    message: str | None = None


class PaymentDifference(Payload):
    """One thing provider, ledger and order disagree on. Amounts are minor units of `currency`."""

    id: int
    kind: DifferenceKind
    effect: EntryKind | None = None
    subject: Annotated[str, Field(description="A payment's or refund's id at the provider, or the order's id.")]
    order_id: str
    payment_id: str | None = None
    order_status: OrderStatus | None = None
    currency: str | None = None
    provider_amount: int | None = None
    ledger_amount: int | None = None
    proposed_repair: Repair
    repair_amount: int = 0
    status: DifferenceStatus
    first_seen_at: datetime
    last_seen_at: datetime
    decision: DecisionAction | None = None
    reason: str | None = None
    actor: str | None = None
    decided_at: datetime | None = None
    note: Annotated[str | None, Field(description="Why a repair did not lead to an end.")] = None


class SettleDifference(Payload):
    """How a repair ended: `repaired`, `resolved_itself`, or `open` again with a note."""

    difference_id: int
    status: DifferenceStatus
    note: str | None = None


class PaymentReconciliation(Payload):
    """One whole run."""

    id: int
    started_at: datetime
    finished_at: datetime
    payments: int
    refunds: int
    entries: int
    orders: int
    differences_open: int


class PaymentDifferencePage(Payload):
    """`GET /v1/ops/reconciliation/payments`: the open ones first, then the newest; with the last whole run."""

    items: list[PaymentDifference]
    last_run: PaymentReconciliation | None = None
    next_cursor: str | None = None
