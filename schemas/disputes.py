"""Disputes: how the provider says they stand, what we keep of them, what operators do about them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from domain.disputes import DisputeStatus
from domain.ledger import EntryKind
from domain.orders import PaymentStatus
from schemas.base import Money, Payload, Request
from schemas.payments import ProviderCommand

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


def _readable(text: str) -> str:
    if any(not (character.isprintable() or character in "\n\t") for character in text):
        raise ValueError("control characters are not allowed")
    return text


class EvidenceRequest(Request):
    """`POST /v1/ops/disputes/{id}/evidence`: what speaks for us, as one text that the bank will read."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=20_000), AfterValidator(_readable)]
    reason: Reason = Field(description="Why it is sent, for the record.")


class DisputeDecisionRequest(Request):
    """`POST /v1/ops/disputes/{id}/accept` and `/release`: why."""

    reason: Reason


class DisputeInput(Payload):
    """What DisputeWorkflow is started with: nothing but a name, because everything else the provider is asked."""

    dispute_id: str
    reminder_hours: int = 48


class RetrieveDispute(Payload):
    """Ask the provider how the dispute stands."""

    dispute_id: str


class DisputeMovement(Payload):
    """Money that the dispute has moved; `provider_id` is the movement's own id there."""

    provider_id: str
    kind: EntryKind
    amount: int


class DisputeStanding(Payload):
    """A dispute as the provider has it now; without `order_id` it is of no order of ours.

    It is no older than `asked_at`; None in what an earlier release has asked.
    """

    dispute_id: str
    order_id: str | None
    payment_id: str
    amount: int
    currency: str
    reason: str
    status: DisputeStatus
    evidence_due_at: datetime | None = None
    movements: list[DisputeMovement] = []
    asked_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Undecided, or won and the money has yet to come back."""
        return self.status.is_undecided or (self.status is DisputeStatus.WON and self._is_money_due)

    @property
    def _is_money_due(self) -> bool:
        kinds = {movement.kind for movement in self.movements}
        return EntryKind.DISPUTE in kinds and EntryKind.DISPUTE_REVERSAL not in kinds


class DisputeAction(StrEnum):
    """What was done about a dispute."""

    REMINDED = "reminded"
    EVIDENCE = "evidence"
    ACCEPTED = "accepted"
    RELEASED = "released"


class ActionTaken(Payload):
    """Who did what about a dispute, when and why; `text` is the evidence."""

    action: DisputeAction
    actor: str
    reason: str
    at: datetime
    text: str | None = None


class DisputeView(Payload):
    """A dispute as staff see it.

    `frozen` says that nothing of the order leaves the warehouse; `overdue` that evidence is still wanted and too late.
    """

    id: str
    order_id: str
    payment_id: str
    amount: Money
    reason: str
    status: DisputeStatus
    open: bool
    frozen: bool
    evidence_due_at: datetime | None = None
    overdue: bool = False
    actions: list[ActionTaken] = []
    opened_at: datetime
    closed_at: datetime | None = None


class DisputePage(Payload):
    """Disputes, the open ones first, and of those the newest; `next_cursor` is None on the last page."""

    items: list[DisputeView]
    next_cursor: str | None = None


class RecordDispute(Payload):
    """Keep how a dispute stands, with its money, its events and the order's payment status; repeat-safe."""

    order_id: str
    standing: DisputeStanding


class DisputeRecorded(Payload):
    """The dispute as it is kept now, and the order's payment status after it."""

    dispute: DisputeView
    payment_status: PaymentStatus


class NoteAction(Payload):
    """Keep what was done about a dispute; repeat-safe by `key`."""

    dispute_id: str
    key: str
    action: DisputeAction
    actor: str
    reason: str
    text: str | None = None


class SubmitEvidence(ProviderCommand):
    """Tell the provider, and through it the bank, what speaks for us."""

    dispute_id: str
    text: str


class AcceptDispute(ProviderCommand):
    """Give in: the dispute is lost."""

    dispute_id: str


# --- what operators ask of DisputeWorkflow, by update


class OperatorDecision(Payload):
    """Who wants something done about a dispute, and why; `text` is the evidence."""

    actor: str
    reason: str
    text: str | None = None


# --- what DisputeWorkflow tells the order, by signal


class DisputeUpdated(Payload):
    """Whether nothing more is to leave because of this dispute, and whether it is lost."""

    dispute_id: str
    frozen: bool
    lost: bool = False


class DisputeEnded(Payload):
    """How the dispute ended; without a status it was of no order of ours."""

    dispute_id: str
    status: DisputeStatus | None = None
