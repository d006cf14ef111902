"""Steps on our own stores: short transactions that may run twice."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

from activities.failures import MISTAKE
from workflows.options import STORE, STORE_AWAY
from workflows.outage import OPERATOR_AFTER, retry_until_answered
from workflows.timeline import Timeline

# A release in progress needs no operator; a mistake that lasts does, long before an outage would.
MISTAKE_NEEDS_OPERATOR_AFTER = timedelta(seconds=30)
C = TypeVar("C")
R = TypeVar("R")


async def on_store(call: Callable[[Any, C], R], command: C, summary: str, timeline: Timeline) -> R:
    """Run one step on our own stores, however long they are away; raises FailureError when the step is refused.

    It begins as a local activity. When that has failed for two seconds it goes on as a regular one, which needs an
    operator when it lasts.

    A cancellation is raised when the step has really ended, so that what compensates it finds what it has written.
    The SDK alone would forget a cancellation whose step comes to its end all the same.
    """
    step = asyncio.create_task(_run(call, command, summary, timeline))
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        step.cancel()
        await _ended(step)
        raise


async def _run(call: Callable[[Any, C], R], command: C, summary: str, timeline: Timeline) -> R:
    try:
        return await workflow.execute_local_activity_method(call, command, summary=summary, **STORE)
    except FailureError as error:
        # A local activity's failure arrives bare, while a regular one's is wrapped.
        failure = error.cause if isinstance(error, ActivityError) else error
        if is_cancelled_exception(error) or (isinstance(failure, ApplicationError) and failure.non_retryable):
            raise
    if isinstance(failure, ApplicationError) and failure.type == MISTAKE:
        after, why = MISTAKE_NEEDS_OPERATOR_AFTER, f"it fails ({failure.message})"
    else:
        after, why = OPERATOR_AFTER, "the store does not answer"
    return await retry_until_answered(call, command, summary, timeline, STORE_AWAY, operator_after=after, why=why)


async def _ended(step: asyncio.Task[Any]) -> None:
    while not step.done():
        try:
            await workflow.wait([step])
        except asyncio.CancelledError:  # once more; there is one end to wait for
            continue
    if not step.cancelled():
        step.exception()  # looked at, so that asyncio does not report it as lost
