"""Waiting for a condition until a moment, and for what a cancellation must not touch."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow

T = TypeVar("T")


async def shielded(deed: Coroutine[Any, Any, T]) -> T:
    """Let the deed go on to its end by itself; a cancellation of who waits for it is felt at once.

    Awaited directly, a signal to another workflow takes a cancellation for its own, clears it, and returns as if
    nothing had been asked: the order would then go on although it was cancelled.
    """
    return await asyncio.shield(asyncio.create_task(deed))


async def run_to_completion(deed: Coroutine[Any, Any, T], tell: Callable[[str], None]) -> T:
    """Wait for the deed until it is done, whatever cancellations arrive; each is told of, and not obeyed.

    For what nobody else would finish: an order half taken back, money that is held, a refund that is promised, a parcel
    that has left. Who wants one of these to stop has the order stop it.
    """
    doing = asyncio.create_task(deed)
    while True:
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            if doing.done():
                return doing.result()
            tell("asked to stop by a cancellation: not obeyed, because nobody else would finish this")


async def wait_until(moment: datetime, happened: Callable[[], bool], summary: str) -> bool:
    """Whether it happens in time; needs no timer when it has happened already, or the moment is past."""
    left = moment - workflow.now()
    if happened():
        return True
    if left <= timedelta(0):
        return False
    try:
        await workflow.wait_condition(happened, timeout=left, timeout_summary=summary)
    except TimeoutError:
        return False
    return True
