"""Running side by side, waiting for a condition until a moment, and for what a cancellation must not touch."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
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


async def run_all(*branches: Coroutine[Any, Any, None]) -> None:
    """Run the branches side by side; returns when all have ended.

    When one fails, or the caller is cancelled, the others are cancelled, and have ended before the failure is raised:
    none of them acts any more when compensation begins.
    """
    tasks = [asyncio.create_task(branch) for branch in branches]
    if not tasks:
        return
    try:
        await workflow.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await _end(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()


async def accompanied(main: Coroutine[Any, Any, None], companion: Coroutine[Any, Any, None]) -> None:
    """Run `companion` as long as `main` runs. A failure of either ends the other and is raised."""
    tasks = [asyncio.create_task(main), asyncio.create_task(companion)]
    try:
        while not tasks[0].done():
            pending = [task for task in tasks if not task.done()]
            await workflow.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if tasks[1].done():
                tasks[1].result()
    finally:
        await _end(tasks)
    tasks[0].result()


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel what still runs and wait until it has ended; a cancellation that arrives meanwhile is not lost."""
    cancelled = False
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        try:
            await workflow.wait(pending)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


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
