"""Disputes and inquiries of the customer's bank, and what they mean for the order."""

from enum import StrEnum


class DisputeStatus(StrEnum):
    """A dispute's status, with the provider's names; `warning_…` is an inquiry, which has withdrawn no money yet."""

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
        """The bank has not decided yet: nothing more is shipped and nothing refunded."""
        return self in _UNDECIDED

    @property
    def needs_response(self) -> bool:
        """Without evidence by its date the dispute is lost."""
        return self in (DisputeStatus.NEEDS_RESPONSE, DisputeStatus.WARNING_NEEDS_RESPONSE)

    @property
    def is_inquiry(self) -> bool:
        """The bank asks before it withdraws anything."""
        return self.value.startswith("warning_")


_UNDECIDED = frozenset(
    {
        DisputeStatus.WARNING_NEEDS_RESPONSE,
        DisputeStatus.WARNING_UNDER_REVIEW,
        DisputeStatus.NEEDS_RESPONSE,
        DisputeStatus.UNDER_REVIEW,
    }
)
