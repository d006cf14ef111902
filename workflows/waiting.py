"""Waiting for a condition until a moment, and for what a cancellation must not touch."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow

T = TypeVar("T")


async def shielded(coroutine: Coroutine[Any, Any, T]) -> T:
    """Let it run to its end by itself; a cancellation of the waiter is felt at once.

    Awaited directly, a signal to another workflow takes a cancellation for its own, clears it, and returns as if
    nothing had happened: the order would then continue although it was cancelled.
    """
    return await asyncio.shield(asyncio.create_task(coroutine))


async def run_to_completion(coroutine: Coroutine[Any, Any, T], note: Callable[[str], None]) -> T:
    """Run it to completion, whatever cancellations arrive; each is noted, and not obeyed.

    For what nothing else would finish: an order half compensated, an authorization, a promised refund, a dispatched
    parcel. An order is stopped by its `cancel` update.
    """
    task = asyncio.create_task(coroutine)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.done():
                return task.result()
            note("cancellation ignored: nothing else would complete this")


async def wait_until(moment: datetime, condition: Callable[[], bool], summary: str) -> bool:
    """Whether the condition holds in time; starts no timer when it holds already, or the moment is past."""
    remaining = moment - workflow.now()
    if condition():
        return True
    if remaining <= timedelta(0):
        return False
    try:
        await workflow.wait_condition(condition, timeout=remaining, timeout_summary=summary)
    except TimeoutError:
        return False
    return True
