"""A limit on how many requests do the same at once, so that those inside are served quickly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum


class Entry(Enum):
    """How a request got in: `TIMED_OUT` when no place became free in time."""

    AT_ONCE = "at once"
    AFTER_WAITING = "after waiting"
    TIMED_OUT = "timed out"


class ConcurrencyLimit:
    """So many are inside at once; the others wait, first come first served."""

    def __init__(self, at_once: int) -> None:
        self._places = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def enter(self, patience_seconds: float) -> AsyncIterator[Entry]:
        """Hold a place for the length of the block; without one, when none becomes free in time."""
        had_to_wait = self._places.locked()
        try:
            async with asyncio.timeout(patience_seconds):
                await self._places.acquire()
        except TimeoutError:
            yield Entry.TIMED_OUT
            return
        try:
            yield Entry.AFTER_WAITING if had_to_wait else Entry.AT_ONCE
        finally:
            self._places.release()
