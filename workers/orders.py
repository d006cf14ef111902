"""`order-worker`: polls the task queues it is told to (`ORDERS_TASK_QUEUES`; a laptop polls all of them)."""

import asyncio

import structlog
from temporalio.client import Client

from adapters.connections import connect
from adapters.logs import configure_logging
from adapters.settings import Settings, load_settings
from workers.runner import connect_temporal, run_workers, stop_on_signals, threads_needed

log = structlog.get_logger(__name__)


async def _reach_temporal(settings: Settings, stop: asyncio.Event) -> Client | None:
    """Keep trying until Temporal answers: a worker that starts before its server waits for it."""
    while not stop.is_set():
        try:
            return await connect_temporal(settings)
        except RuntimeError as error:
            log.warning(
                "Temporal does not answer yet, trying again", address=settings.temporal_address, error=str(error)
            )
            await asyncio.sleep(1)
    return None


async def _serve(settings: Settings) -> None:
    stop = stop_on_signals()
    queues = sorted(settings.task_queues)
    client = await _reach_temporal(settings, stop)
    if client is None:
        return
    with connect(settings, pool_size=threads_needed(settings, queues)) as connections:
        await run_workers(client, connections, queues, stop)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = load_settings()
    configure_logging(settings)
    asyncio.run(_serve(settings))


if __name__ == "__main__":
    main()
