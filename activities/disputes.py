"""Disputes: retrieved, answered and accepted at the provider, recorded in our database."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from schemas.disputes import (
    AcceptDispute,
    DisputeRecorded,
    DisputeState,
    DisputeView,
    NoteAction,
    RecordDispute,
    RetrieveDispute,
    SubmitEvidence,
)
from schemas.provider_calls import ProviderResult

if TYPE_CHECKING:
    from adapters.mysql.payments.disputes import Disputes
    from adapters.payments.disputes import DisputeProvider


class DisputeActivities:
    """Calls to the provider are regular activities; records are written by local ones."""

    def __init__(self, provider: "DisputeProvider", disputes: "Disputes") -> None:
        self._provider = provider
        self._disputes = disputes

    @activity.defn
    def retrieve_dispute(self, command: RetrieveDispute) -> DisputeState:
        """Ask the provider for its state."""
        with typed_failures():
            return self._provider.retrieve(command)

    @activity.defn
    def record_dispute(self, command: RecordDispute) -> DisputeRecorded:
        """Record its state, with its money and its events."""
        with typed_failures():
            return self._disputes.record(command)

    @activity.defn
    def submit_evidence(self, command: SubmitEvidence) -> ProviderResult:
        """Submit our evidence."""
        with typed_failures():
            return self._provider.submit(command)

    @activity.defn
    def accept_dispute(self, command: AcceptDispute) -> ProviderResult:
        """Accept the dispute."""
        with typed_failures():
            return self._provider.accept(command)

    @activity.defn
    def note_dispute_action(self, command: NoteAction) -> DisputeView:
        """Record an action with its actor and reason."""
        with typed_failures():
            return self._disputes.note(command)
