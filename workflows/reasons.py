"""Why a workflow stopped, read from the failure that stopped it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from temporalio.exceptions import ApplicationError, TerminatedError

CANCELLED = "cancelled"


@dataclass(frozen=True)
class Reason:
    """A stable code, a sentence, and what a caller needs to act on it."""

    code: str
    message: str
    details: Mapping[str, object] = field(default_factory=dict)


def reason_of(failure: BaseException) -> Reason:
    """The business reason inside a failure; activities and child workflows wrap it, a cancellation has none.

    A child that was terminated has none either, and the order was not cancelled.
    """
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ApplicationError):
            details = cause.details[0] if cause.details and isinstance(cause.details[0], Mapping) else {}
            return Reason(cause.type or "failed", cause.message, details)
        if isinstance(cause, TerminatedError):
            return Reason("terminated", "Processing of the order was stopped by our staff.")
        if isinstance(cause, asyncio.CancelledError):
            break
        cause = cause.__cause__
    return Reason(CANCELLED, "The order was cancelled.")
