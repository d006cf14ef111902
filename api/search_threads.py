"""Threads for search alone: a search server that hangs must not take those that product pages and checkouts need."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from api.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 24
_QUEUE_SECONDS = 2.0


class SearchThreads:
    """So many searches at once, the others wait in a queue with a time limit."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="search")
        self._free = asyncio.Semaphore(_THREADS)

    async def ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer, asked for in one of the threads; raises Unavailable when none gets free in time."""
        try:
            async with asyncio.timeout(_QUEUE_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise Unavailable from None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: question(*args, **kwargs))
        finally:
            self._free.release()
