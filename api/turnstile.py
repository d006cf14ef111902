"""A crowd is let in a few at a time, so that those inside are served quickly and nobody inside is in another's way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum


class Turn(Enum):
    """How it went: `NOT_YET` when time ran out first."""

    AT_ONCE = "at once"
    AFTER_A_WHILE = "after a while"
    NOT_YET = "not yet"


class Turnstile:
    """So many pass at once; the others wait their turn, first come first served."""

    def __init__(self, at_once: int) -> None:
        self._places = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def turn(self, patience_seconds: float) -> AsyncIterator[Turn]:
        """Hold a place for the length of the block, unless none becomes free in time: the block is told."""
        had_to_wait = self._places.locked()
        try:
            async with asyncio.timeout(patience_seconds):
                await self._places.acquire()
        except TimeoutError:
            yield Turn.NOT_YET
            return
        try:
            yield Turn.AFTER_A_WHILE if had_to_wait else Turn.AT_ONCE
        finally:
            self._places.release()
