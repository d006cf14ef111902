"""What is done about disputes at the provider, and what is kept of them."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from schemas.disputes import (
    AcceptDispute,
    DisputeRecorded,
    DisputeStanding,
    DisputeView,
    NoteAction,
    RecordDispute,
    RetrieveDispute,
    SubmitEvidence,
)
from schemas.payments import ProviderResult

if TYPE_CHECKING:
    from adapters.mysql.payments.disputes import Disputes
    from adapters.payments.disputes import DisputeProvider


class DisputeActivities:
    """Calls to the provider are regular activities; what is kept is written by local ones."""

    def __init__(self, provider: "DisputeProvider", disputes: "Disputes") -> None:
        self._provider = provider
        self._disputes = disputes

    @activity.defn
    def retrieve_dispute(self, command: RetrieveDispute) -> DisputeStanding:
        """Ask how it stands, whatever anybody else has said about it."""
        with typed_failures():
            return self._provider.look(command)

    @activity.defn
    def record_dispute(self, command: RecordDispute) -> DisputeRecorded:
        """Keep how it stands, with its money and its events."""
        with typed_failures():
            return self._disputes.record(command)

    @activity.defn
    def submit_evidence(self, command: SubmitEvidence) -> ProviderResult:
        """Send what speaks for us."""
        with typed_failures():
            return self._provider.submit(command)

    @activity.defn
    def accept_dispute(self, command: AcceptDispute) -> ProviderResult:
        """Give in."""
        with typed_failures():
            return self._provider.accept(command)

    @activity.defn
    def note_dispute_action(self, command: NoteAction) -> DisputeView:
        """Keep who did what about it, and why."""
        with typed_failures():
            return self._disputes.note(command)
