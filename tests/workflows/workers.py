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
