"""Many who ask after orders that are not recorded yet do not keep Temporal from working on them."""

import asyncio
import uuid

from adapters.settings import Settings
from temporal_clients.checkouts import CheckoutClient
from temporal_clients.connection import connect_temporal

READERS = 50


async def test_most_are_answered_without_asking_a_temporal_that_is_slow(settings: Settings) -> None:

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = await connect_temporal(settings.model_copy(update={"temporal_address": f"127.0.0.1:{port}"}), lazy=True)
    checkouts = CheckoutClient(client, patience_seconds=1)
    readers = [asyncio.create_task(checkouts.is_running(str(uuid.uuid4()))) for _ in range(READERS)]
    try:
        done, waiting = await asyncio.wait(readers, timeout=1)
        assert [task.result() for task in done] == [True] * len(done)
        assert 0 < len(waiting) < READERS / 5
    finally:
        for task in readers:
            task.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        server.close()
