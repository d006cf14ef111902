"""`order-worker`: polls the task queues in `ORDERS_TASK_QUEUES` (default: all)."""

import asyncio
from collections.abc import Awaitable, Callable

from temporalio.client import Client

from adapters.connections import connect
from adapters.logs import configure_logging
from adapters.settings import Settings, load_settings
from temporal_clients.connection import serving_metrics
from workers.runner import reach_temporal, run_workers, stop_on_signals, threads_needed


async def serve(settings: Settings, reach: Callable[..., Awaitable[Client | None]] = reach_temporal) -> None:
    """Poll until SIGTERM or SIGINT; `reach` gives the client, or None when there is none before that."""
    stop = stop_on_signals()
    queues = sorted(settings.task_queues)
    metrics = settings.worker_metrics_address
    client = await reach(settings, stop, *([serving_metrics(metrics)] if metrics else []))
    if client is None:
        return
    with connect(settings, pool_size=threads_needed(settings, queues)) as connections:
        await run_workers(client, connections, queues, stop)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = load_settings()
    configure_logging(settings)
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
