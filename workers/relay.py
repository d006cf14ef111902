"""outbox-relay: carry committed events from MySQL to Kafka, in order, for as long as it runs.

Any number of relays may run: each locks a partition of an outbox that no other has. Orders and products have a
thread each, so that an import of a hundred thousand products delays no order.
"""

import signal
import threading
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from adapters.connections import create_engine
from adapters.events import EventPublisher, EventsUndelivered
from adapters.logs import configure_logging
from adapters.mysql.outbox import EventT, Outbox, order_outbox, product_outbox
from adapters.settings import load_settings
from schemas.events import ORDERS_TOPIC, PRODUCTS_TOPIC
from workers.health import Health, serving
from workers.side_by_side import run_side_by_side

log = structlog.get_logger(__name__)

_IDLE_SECONDS = 0.1
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0


def relay(
    outbox: Outbox[EventT], publisher: EventPublisher, stop: threading.Event, beat: Callable[[], None] = lambda: None
) -> None:
    """Publish until asked to stop; an unavailable server is waited for, at growing intervals."""
    pause = 0.0
    while not stop.wait(pause):
        beat()
        try:
            published = outbox.publish_batch(publisher.publish)
        except (SQLAlchemyError, EventsUndelivered) as outage:
            pause = min(max(_FIRST_PAUSE, pause * 2), _LONGEST_PAUSE)
            server = "Kafka" if isinstance(outage, EventsUndelivered) else "MySQL"
            log.warning("cannot publish; nothing is lost", server=server, error=_first_line(outage), retry_in=pause)
            continue
        if pause >= _FIRST_PAUSE:
            log.info("publishing again")
        pause = 0.0 if published else _IDLE_SECONDS
        if published:
            log.debug("published", events=published)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def main() -> None:
    """The console script."""
    settings = load_settings()
    configure_logging(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    prefix = settings.name_prefix
    engine = create_engine(settings, pool_size=2)
    log.info("relaying", kafka=settings.kafka_bootstrap)
    health = Health("orders", "products")
    orders = (order_outbox(engine), EventPublisher(settings, f"{prefix}{ORDERS_TOPIC}"), stop, health.beat("orders"))
    products = (
        *(product_outbox(engine), EventPublisher(settings, f"{prefix}{PRODUCTS_TOPIC}"), stop),
        health.beat("products"),
    )
    try:
        with serving(health, settings.health_address):
            run_side_by_side(
                [
                    threading.Thread(name="orders", target=relay, args=orders),
                    threading.Thread(name="products", target=relay, args=products),
                ],
                stop,
            )
    finally:
        engine.dispose()
    log.info("stopped")


if __name__ == "__main__":
    main()
