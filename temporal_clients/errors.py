"""How a workflow can fail to answer whoever asks it from outside."""

from temporalio.service import RPCError, RPCStatusCode

# CANCELLED is the client's own time-out.
_AWAY = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.CANCELLED,
}


class UpdateRefused(Exception):
    """The workflow does not do this now; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class StillWorking(Exception):
    """The workflow runs and will answer, but not within the time a request may take."""


class TemporalAway(Exception):
    """Temporal cannot be reached, or a workflow takes too long; the same may be asked again."""


def is_temporal_away(error: Exception) -> bool:
    """Whether Temporal cannot be reached; a lazy client raises RuntimeError when its first connection fails."""
    if isinstance(error, TemporalAway):
        return True
    if isinstance(error, RPCError):
        return error.status in _AWAY
    return isinstance(error, RuntimeError) and "Failed client connect" in str(error)
