"""notification-worker: consume order events from Kafka and start one NotificationWorkflow for each.

It starts workflows and runs none: the order worker polls the notifications queue (ORDERS_TASK_QUEUES).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog
from confluent_kafka import KafkaException
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from adapters.events import Delivery, EventConsumer, EventsUndelivered
from adapters.logs import configure_logging
from adapters.settings import Settings, load_settings
from schemas.events import ORDERS_TOPIC, OrderStatusChanged
from schemas.notifications import NotificationInput
from workers.health import Health, serving
from workers.runner import reach_temporal, stop_on_signals
from workflows.names import NOTIFICATIONS_QUEUE, notification_workflow_id
from workflows.notifications import NotificationWorkflow

log = structlog.get_logger(__name__)

GROUP = "notifications"
_POLL_SECONDS = 0.5
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0


async def notify(client: Client, event: OrderStatusChanged) -> None:
    """Start the event's notification; one that was started before is not started again."""
    with suppress(WorkflowAlreadyStartedError):
        await client.start_workflow(
            NotificationWorkflow.run,
            NotificationInput(
                event_id=event.event_id, order_id=event.order_id, seq=event.seq, type=event.type, data=event.data
            ),
            id=notification_workflow_id(event.event_id),
            task_queue=NOTIFICATIONS_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=f"mail about {event.type}",
            static_details=f"Event {event.seq} of order `{event.order_id}`",
        )


async def consume(
    client: Client,
    consumer: EventConsumer[OrderStatusChanged],
    stop: asyncio.Event,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Commit an event once its workflow is started; while Temporal or Kafka is away nothing is committed."""
    pause = wait = 0.0
    while not await _stopped_within(stop, wait):
        beat()
        wait = 0.0
        delivery: Delivery[OrderStatusChanged] | None = None
        try:
            delivery = await asyncio.to_thread(consumer.poll, _POLL_SECONDS)
            if delivery is not None:
                await notify(client, delivery.event)
                await asyncio.to_thread(consumer.commit, delivery)
        except (RPCError, KafkaException, EventsUndelivered) as outage:
            # Given back rather than retried here, so that polling goes on and the group keeps this member.
            if delivery is not None:
                await asyncio.to_thread(consumer.rewind, delivery)
            pause = wait = min(max(_FIRST_PAUSE, pause * 2), _LONGEST_PAUSE)
            server = "Temporal" if isinstance(outage, RPCError) else "Kafka"
            log.warning("cannot notify; nothing is lost", server=server, error=str(outage), retry_in=pause)
        else:
            pause = 0.0 if delivery else pause  # an empty poll is no proof that the outage is over


async def _stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    if seconds and not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


async def run(settings: Settings) -> None:
    """Consume until SIGTERM or SIGINT."""
    stop = stop_on_signals()
    client = await reach_temporal(settings, stop)
    if client is None:
        return
    prefix = settings.name_prefix
    consumer = EventConsumer(settings, f"{prefix}{GROUP}", [f"{prefix}{ORDERS_TOPIC}"], OrderStatusChanged)
    log.info("consuming", kafka=settings.kafka_bootstrap, group=f"{prefix}{GROUP}")
    health = Health("events")
    try:
        with serving(health, settings.health_address):
            await consume(client, consumer, stop, health.beat("events"))
    finally:
        consumer.close()
    log.info("stopped")


def main() -> None:
    """The console script."""
    settings = load_settings()
    configure_logging(settings)
    asyncio.run(run(settings))


if __name__ == "__main__":
    main()
