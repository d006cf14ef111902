"""Steps on our own stores: short transactions that may run twice."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from temporalio import workflow

from workflows.options import STORE
from workflows.timeline import Timeline

C = TypeVar("C")
R = TypeVar("R")


async def on_store(call: Callable[[Any, C], R], command: C, summary: str, timeline: Timeline) -> R:
    """Run one step on our own stores.

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


async def _run(call: Callable[[Any, C], R], command: C, summary: str, timeline: Timeline) -> R:  # noqa: ARG001
    return await workflow.execute_local_activity_method(call, command, summary=summary, **STORE)


async def _ended(step: asyncio.Task[Any]) -> None:
    while not step.done():
        try:
            await workflow.wait([step])
        except asyncio.CancelledError:  # once more; there is one end to wait for
            continue
    if not step.cancelled():
        step.exception()  # looked at, so that asyncio does not report it as lost
