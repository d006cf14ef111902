"""Deeds that a cancellation must not touch, and that must not swallow a cancellation."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def uninterrupted(deed: Coroutine[Any, Any, T]) -> T:
    """Let the deed go on to its end by itself; a cancellation of who waits for it is felt at once.

    Awaited directly, a signal to another workflow takes a cancellation for its own, clears it, and returns as if
    nothing had been asked: the order would then go on although it was cancelled.
    """
    return await asyncio.shield(asyncio.create_task(deed))
