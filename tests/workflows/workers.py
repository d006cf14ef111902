"""Production's workers inside the tests' own process."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager

from temporalio.client import Client

from adapters.connections import Connections
from workers.build_activities import build_activities
from workers.runner import WORKFLOWS, build_worker


@asynccontextmanager
async def all_workers(client: Client, connections: Connections) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(64))
        crew = build_activities(connections, client)
        for queue in WORKFLOWS:
            await stack.enter_async_context(build_worker(client, queue, crew, pool, connections.settings))
        yield


class Workers:
    """The same, to be ended at any moment."""

    def __init__(self, client: Client, connections: Connections) -> None:
        self._client, self._connections = client, connections
        self._running = AsyncExitStack()

    async def start(self) -> None:
        await self._running.enter_async_context(all_workers(self._client, self._connections))

    async def stop(self) -> None:
        await self._running.aclose()

    async def restart(self) -> None:
        """Others go on, which know of an order what its history says."""
        await self.stop()
        self._running = AsyncExitStack()
        await self.start()
