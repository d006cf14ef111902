"""search-indexer: consume changes from Kafka and keep the search indices up to date.

An event says only that something changed: the state is read from MySQL and written under its version, so that repeated
and disordered events, and several indexers at once, do no harm. What a batch contains twice is written once.
"""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import elastic_transport
import elasticsearch
import sqlalchemy as sa
import structlog
from confluent_kafka import KafkaException
from sqlalchemy.exc import SQLAlchemyError

from adapters.connections import Connections, connect
from adapters.events import Batch, EventConsumer, EventsUndelivered, EventT
from adapters.logs import configure_logging
from adapters.mysql.clock import now
from adapters.mysql.orders.snapshots import ids_of_closed_accounts
from adapters.search.feeds import PAGE, Feed, order_feed, product_feed
from adapters.search.index import INDEX_VERSION
from adapters.search.live_index import IndexNotReady, WriteDelayed, WriteRefused
from adapters.search.orders import ORDERS_INDEX_VERSION
from adapters.settings import Settings, load_settings
from schemas.events import ORDERS_TOPIC, PRODUCTS_TOPIC, OrderStatusChanged, ProductChanged
from workers.health import Health, serving
from workers.side_by_side import run_side_by_side

log = structlog.get_logger(__name__)

# A release with another mapping fills an index of its own, so it consumes everything again.
PRODUCTS_GROUP = f"search-indexer-products-v{INDEX_VERSION}"
ORDERS_GROUP = f"search-indexer-orders-v{ORDERS_INDEX_VERSION}"

_MOST_EVENTS = 500
_POLL_SECONDS = 0.5
_FIRST_PAUSE = 0.5
_NICENESS = 5  # on a machine it shares, those who wait for an answer go first
_LONGEST_PAUSE = 5.0  # so that the indices are true again soon after a server is back
_SWEEP_SECONDS = 10.0
_SWEEP_AGAIN = timedelta(minutes=10)  # what was read before an account was closed is written long before it is over
_SWEEP_AT_START = timedelta(days=7)  # as long as Kafka keeps events: after a longer absence a reindex is due anyway

AWAY = (
    SQLAlchemyError,
    KafkaException,
    EventsUndelivered,
    elastic_transport.TransportError,
    elasticsearch.ApiError,
    IndexNotReady,
    WriteDelayed,
)


@dataclass
class Patience:
    """How long to wait before the next try: longer with each failure, not at all after a success."""

    pause: float = 0.0

    def lengthen(self) -> float:
        """After a failure."""
        self.pause = min(max(_FIRST_PAUSE, self.pause * 2), _LONGEST_PAUSE)
        return self.pause


@dataclass
class Indexer:
    """Keeps one noun's indices up to date; `key` is what an event is about."""

    feed: Feed
    beat: Callable[[], None] = lambda: None
    patience: Patience = field(default_factory=Patience)

    def follow(self, consumer: EventConsumer[EventT], stop: threading.Event) -> None:
        """Consume until asked to stop; an unavailable server is waited for, and nothing is committed."""
        while not stop.wait(self.patience.pause):
            self.beat()
            batch: Batch[EventT] = Batch()
            try:
                batch = consumer.poll_batch(_POLL_SECONDS, _MOST_EVENTS)
                self._write({event.aggregate_id for event in batch.events})
                consumer.commit_batch(batch)
            except AWAY as outage:
                # Given back, so that polling goes on and the group keeps this member.
                consumer.rewind_batch(batch)
                text = (str(outage).splitlines() or [type(outage).__name__])[0][:300]
                log.warning("cannot index; nothing is lost", error=text, retry_in=self.patience.lengthen())
            else:
                if batch.last:  # an empty poll is no proof that the outage is over
                    self.patience.pause = 0.0

    def _write(self, keys: set[str]) -> None:
        if not keys:
            return
        try:
            written = self.feed.update(keys)
        except WriteRefused as bug:
            # Endless retries would delay all others; the reindex after the repair adds these as well.
            log.exception("documents are refused; the index lacks them", error=str(bug), keys=sorted(keys)[:20])
        else:
            log.debug("indexed", index=self.feed.index.alias, documents=written)


def forget_closed_accounts(engine: sa.Engine, feed: Feed, stop: threading.Event) -> None:
    """Remove the person from the index of their orders soon after the account is closed; no event announces that.

    Each sweep overlaps the one before, because an indexer may have read an order just before the closing and
    written it just after the look.
    """
    since, patience = now() - _SWEEP_AT_START, Patience(pause=0.0)
    while not stop.wait(patience.pause or _SWEEP_SECONDS):
        started = now()
        try:
            forget_since(engine, feed, since)
        except (*AWAY, WriteRefused) as outage:
            log.warning("cannot look for closed accounts", error=str(outage)[:300], retry_in=patience.lengthen())
        else:
            since, patience.pause = started - _SWEEP_AGAIN, 0.0


def forget_since(engine: sa.Engine, feed: Feed, since: datetime) -> None:
    """Write the orders of those who have closed their account since then once more."""
    after = ""
    while ids := ids_of_closed_accounts(engine, since, after, PAGE):
        feed.update(ids)
        after = ids[-1]


def threads(stores: Connections, stop: threading.Event, health: Health) -> list[threading.Thread]:
    """The work, a thread for each noun and one for what no event announces."""
    settings, engine = stores.settings, stores.engine
    products = product_feed(engine, stores.elasticsearch, settings.name_prefix)
    orders = order_feed(engine, stores.elasticsearch, settings.name_prefix)

    def follow(feed: Feed, topic: str, group: str, message: type[EventT]) -> Callable[[], None]:
        def run() -> None:
            consumer = _consumer(settings, topic, group, message)
            try:
                Indexer(feed, health.beat(topic)).follow(consumer, stop)
            finally:
                consumer.close()

        return run

    return [
        threading.Thread(name="products", target=follow(products, PRODUCTS_TOPIC, PRODUCTS_GROUP, ProductChanged)),
        threading.Thread(name="orders", target=follow(orders, ORDERS_TOPIC, ORDERS_GROUP, OrderStatusChanged)),
        threading.Thread(name="closed", target=forget_closed_accounts, args=(engine, orders, stop)),
    ]


def _consumer(settings: Settings, topic: str, group: str, message: type[EventT]) -> EventConsumer[EventT]:
    prefix = settings.name_prefix
    return EventConsumer(settings, f"{prefix}{group}", [f"{prefix}{topic}"], message)


def main() -> None:
    """The console script."""
    settings = load_settings()
    configure_logging(settings)
    os.nice(_NICENESS)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with connect(settings, pool_size=3) as stores:
        log.info("indexing", kafka=settings.kafka_bootstrap, elasticsearch=settings.elasticsearch_url)
        health = Health(PRODUCTS_TOPIC, ORDERS_TOPIC)
        with serving(health, settings.health_address):
            run_side_by_side(threads(stores, stop, health), stop)
    log.info("stopped")


if __name__ == "__main__":
    main()
