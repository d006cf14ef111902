"""Payment reconciliation between provider, ledger and orders: runs, differences and decisions."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from domain.payment_facts import OrderLedger, PaymentMade
from domain.reconciliation import Difference, DifferenceKind, DifferenceStatus, Repair
from schemas.base import Open, Payload, Request


class Phase(StrEnum):
    """The phases of a run, in order: the provider's records, our own, and the differences of earlier runs."""

    PAYMENTS = "payments"
    REFUNDS = "refunds"
    ENTRIES = "entries"
    ORDERS = "orders"
    FOUND_BEFORE = "found_before"
    DONE = "done"

    @property
    def next(self) -> "Phase":
        """The phase after this one."""
        phases = list(Phase)
        return phases[phases.index(self) + 1]


class OrphanedPayment(Payload):
    """An orphaned payment: money for an order that has ended or does not need it."""

    order_id: str
    payment_id: str


class RefundFailedLater(Payload):
    """A refund that the ledger has as done and that has failed at the provider since."""

    order_id: str
    provider_id: str


class PaymentsReconciled(Payload):
    """What a run has examined, how many differences are open after it, and the repairs it starts itself: orphaned
    payments are returned and failed refunds recorded.
    """

    payments: int = 0
    refunds: int = 0
    entries: int = 0
    orders: int = 0
    open: int = 0
    watched: int = 0
    orphaned: list[OrphanedPayment] = []
    failed_refunds: list[RefundFailedLater] = []


class ReconciliationPlace(Payload):
    """The progress of a run: when it began, its phase, the cursor within that, and its counts so far."""

    began_at: datetime | None = None
    phase: Open[Phase] = Phase.PAYMENTS
    cursor: str | None = None
    so_far: PaymentsReconciled = PaymentsReconciled()


class ExaminePayments(Payload):
    """Examine an order at provider and ledger: all payments in the ledger, and those named."""

    order_id: str
    payment_ids: list[str] = []


class Examined(Payload):
    """The current state on all sides, and the differences. `busy` while a refund of the order is in progress."""

    ledger: OrderLedger | None
    payments: dict[str, PaymentMade | None]
    differences: list[Difference]
    busy: bool = False


class CatchUp(Payload):
    """Record in the ledger what it lacks of the provider's effects; repeat-safe.

    The customer is notified of an `orphaned` payment as such.
    """

    payment: PaymentMade
    key: str
    actor: str
    orphaned: bool = False


class CaughtUp(Payload):
    """The entries recorded: kind and amount in minor units."""

    recorded: list[tuple[EntryKind, int]]
    payment_status: PaymentStatus


class CorrectStatus(Payload):
    """Set the order's payment status to what the ledger's sums give."""

    order_id: str
    idempotency_key: str
    actor: str


# --- orphaned payments


class OrphanedPaymentInput(Payload):
    """Starts OrphanedPaymentWorkflow; the order no longer waits for a payment that is `abandoned`."""

    order_id: str
    payment_id: str
    abandoned: bool = False


class OrphanedPaymentResult(Payload):
    """What was returned, in minor units."""

    voided: int = 0
    refunded: int = 0
    why_not: str | None = None


# --- differences and decisions


class DecisionAction(StrEnum):
    """An operator's decision about a difference."""

    APPLY = "apply"
    DISMISS = "dismiss"


class DifferenceDecisionRequest(Request):
    """`POST /v1/ops/reconciliation/payments/differences/{id}/decision`."""

    action: Annotated[DecisionAction, Field(description="Apply the proposed repair, or dismiss the difference.")]
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class DecideDifference(Payload):
    """The same with the actor; the input of PaymentRepairWorkflow."""

    decision_id: str
    difference_id: int
    action: DecisionAction
    reason: str
    actor: str


class DecisionAnswer(Payload):
    """The result of a decision: the difference after it, or why nothing was started."""

    difference: "PaymentDifference | None" = None
    code: str | None = None
    message: str | None = None


class PaymentDifference(Payload):
    """One difference between provider, ledger and order. Amounts are minor units of `currency`."""

    id: int
    kind: Open[DifferenceKind]
    effect: Open[EntryKind] | None = None
    subject: Annotated[str, Field(description="The provider's id of the payment or refund, or the order's id.")]
    order_id: str
    payment_id: str | None = None
    order_status: Open[OrderStatus] | None = None
    currency: str | None = None
    provider_amount: int | None = None
    ledger_amount: int | None = None
    proposed_repair: Open[Repair]
    repair_amount: int = 0
    status: Open[DifferenceStatus]
    first_seen_at: datetime
    last_seen_at: datetime
    decision: Open[DecisionAction] | None = None
    reason: str | None = None
    actor: str | None = None
    decided_at: datetime | None = None
    note: Annotated[str | None, Field(description="Why a repair did not succeed.")] = None


class SettleDifference(Payload):
    """The result of a repair: `repaired`, `resolved_itself`, or `open` again with a note."""

    difference_id: int
    status: DifferenceStatus
    note: str | None = None


class PaymentReconciliation(Payload):
    """A complete run."""

    id: int
    started_at: datetime
    finished_at: datetime
    payments: int
    refunds: int
    entries: int
    orders: int
    differences_open: int


class PaymentDifferencePage(Payload):
    """`GET /v1/ops/reconciliation/payments`: open differences first, then the newest; with the last complete run."""

    items: list[PaymentDifference]
    last_run: PaymentReconciliation | None = None
    next_cursor: str | None = None
