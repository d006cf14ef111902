"""Disputes: their state at the provider, our record of them, and what operators do about them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from domain.disputes import DisputeStatus
from domain.ledger import EntryKind
from domain.orders import PaymentStatus
from schemas.base import Money, Open, Payload, Request
from schemas.provider_calls import ProviderCommand

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


def _readable(text: str) -> str:
    if any(not (character.isprintable() or character in "\n\t") for character in text):
        raise ValueError("control characters are not allowed")
    return text


class EvidenceRequest(Request):
    """`POST /v1/ops/disputes/{id}/evidence`: our evidence, as one text for the bank."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=20_000), AfterValidator(_readable)]
    reason: Reason = Field(description="Why it is submitted, for the record.")


class DisputeDecisionRequest(Request):
    """`POST /v1/ops/disputes/{id}/accept` and `/release`: the reason."""

    reason: Reason


class DisputeInput(Payload):
    """The input of DisputeWorkflow: the id alone, because everything else is retrieved from the provider."""

    dispute_id: str
    reminder_hours: int = 48


class RetrieveDispute(Payload):
    """Retrieve the dispute from the provider."""

    dispute_id: str


class DisputeMovement(Payload):
    """A movement of money by the dispute; `provider_id` is the provider's id of the movement."""

    provider_id: str
    kind: EntryKind
    amount: int


class DisputeState(Payload):
    """A dispute as retrieved from the provider; without `order_id` it belongs to no order of ours.

    It is no older than `asked_at`; None when an earlier release retrieved it.
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
        """Undecided, or won and the money has not been returned yet."""
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
    """An action on a dispute: who, when and why; `text` is the evidence."""

    action: Open[DisputeAction]
    actor: str
    reason: str
    at: datetime
    text: str | None = None


class DisputeView(Payload):
    """A dispute as staff see it.

    `frozen`: the order's parcels are on hold. `overdue`: evidence is still required and its date has passed.
    """

    id: str
    order_id: str
    payment_id: str
    amount: Money
    reason: str
    status: Open[DisputeStatus]
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
    """Record the dispute's state, its ledger entries and events, and the order's payment status; repeat-safe."""

    order_id: str
    standing: DisputeState


class DisputeRecorded(Payload):
    """The dispute as recorded, and the order's payment status after it."""

    dispute: DisputeView
    payment_status: PaymentStatus


class NoteAction(Payload):
    """Record an action on a dispute; repeat-safe by `key`."""

    dispute_id: str
    key: str
    action: DisputeAction
    actor: str
    reason: str
    text: str | None = None


class SubmitEvidence(ProviderCommand):
    """Submit our evidence to the provider, which passes it to the bank."""

    dispute_id: str
    text: str


class AcceptDispute(ProviderCommand):
    """Accept the dispute: it is lost."""

    dispute_id: str


# --- updates of DisputeWorkflow, by operators


class OperatorDecision(Payload):
    """An operator's decision about a dispute, and why; `text` is the evidence."""

    actor: str
    reason: str
    text: str | None = None


# --- signals of DisputeWorkflow to the order


class DisputeUpdated(Payload):
    """Whether this dispute puts the order's parcels on hold, and whether it is lost."""

    dispute_id: str
    frozen: bool
    lost: bool = False


class DisputeEnded(Payload):
    """How the dispute ended; without a status it belonged to no order of ours."""

    dispute_id: str
    status: DisputeStatus | None = None
