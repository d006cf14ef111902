"""Disputes: what the customer's bank has taken back, or only asks about, and what that means for us."""

from enum import StrEnum


class DisputeStatus(StrEnum):
    """Where a dispute stands, in the provider's words; `warning_…` is an inquiry, which has taken no money yet."""

    WARNING_NEEDS_RESPONSE = "warning_needs_response"
    WARNING_UNDER_REVIEW = "warning_under_review"
    WARNING_CLOSED = "warning_closed"
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    PREVENTED = "prevented"

    @property
    def is_undecided(self) -> bool:
        """The bank has not come to its verdict: nothing more is sent, nothing is given back."""
        return self in _UNDECIDED

    @property
    def needs_response(self) -> bool:
        """Without evidence by its date the dispute is lost."""
        return self in (DisputeStatus.NEEDS_RESPONSE, DisputeStatus.WARNING_NEEDS_RESPONSE)

    @property
    def is_inquiry(self) -> bool:
        """The bank asks before it takes anything."""
        return self.value.startswith("warning_")


_UNDECIDED = frozenset(
    {
        DisputeStatus.WARNING_NEEDS_RESPONSE,
        DisputeStatus.WARNING_UNDER_REVIEW,
        DisputeStatus.NEEDS_RESPONSE,
        DisputeStatus.UNDER_REVIEW,
    }
)
