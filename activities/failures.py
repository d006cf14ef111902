"""How a failure leaves an activity: a refusal typed and final, an outage typed and retried."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.errors import BusinessError
from domain.outside_errors import Misuse, OutcomeUnknown, Unavailable

# The type of a failure that a mistake in our code or schema has caused: retried, because a release mends it.
MISTAKE = "mistake"


@contextmanager
def typed_failures() -> Iterator[None]:
    """Give Temporal a failure it can act on.

    A BusinessError becomes an ApplicationError whose type is its code and whose detail its details: not retried,
    and not counted as a failure of ours. An outage is retried when the other side says so. A Misuse is our bug:
    not retried, and loud. An OutcomeUnknown is not retried either: the workflow has to ask the provider before it
    sends anything again. Everything else passes through, and the worker types it by what caused it
    (workers/store_steps.py).
    """
    try:
        yield
    except BusinessError as refusal:
        raise ApplicationError(
            refusal.message,
            refusal.details,
            type=refusal.code,
            non_retryable=True,
            category=ApplicationErrorCategory.BENIGN,
        ) from refusal
    except Unavailable as outage:
        delay = timedelta(seconds=outage.retry_after) if outage.retry_after else None
        raise ApplicationError(str(outage), type=outage.code, next_retry_delay=delay) from outage
    except OutcomeUnknown as unknown:
        raise ApplicationError(str(unknown), type=unknown.code, non_retryable=True) from unknown
    except Misuse as bug:
        raise ApplicationError(str(bug), type=bug.code, non_retryable=True) from bug
