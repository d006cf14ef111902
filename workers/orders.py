"""`order-worker`: polls the task queues in `ORDERS_TASK_QUEUES` (default: all)."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from temporalio.client import Client

from adapters.connections import connect
from adapters.logs import configure_logging
from adapters.settings import Settings, load_settings
from temporal_clients.connection import serving_metrics
from workers.health import Health, serving
from workers.runner import reach_temporal, run_workers, stop_on_signals, threads_needed

_TURN_SECONDS = 1.0


async def serve(settings: Settings, reach: Callable[..., Awaitable[Client | None]] = reach_temporal) -> None:
    """Poll until SIGTERM or SIGINT; `reach` gives the client, or None when there is none before that."""
    stop = stop_on_signals()
    queues = sorted(settings.task_queues)
    metrics = settings.worker_metrics_address
    client = await reach(settings, stop, *([serving_metrics(metrics)] if metrics else []))
    if client is None:
        return
    with connect(settings, pool_size=threads_needed(settings, queues)) as connections:
        health = Health("event loop")
        with serving(health, settings.health_address):
            turning = asyncio.create_task(_turn(health.beat("event loop"), stop))
            await run_workers(client, connections, queues, stop)
            await turning


async def _turn(beat: Callable[[], None], stop: asyncio.Event) -> None:
    """The workers of all queues live on this one loop; a workflow or an activity that holds it up stops them all."""
    while not stop.is_set():
        beat()
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _TURN_SECONDS)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = load_settings()
    configure_logging(settings)
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
