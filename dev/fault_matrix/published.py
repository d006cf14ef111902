"""Whether every event of every order is on Kafka, in the order in which it was recorded."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from adapters.connections import Connections
from adapters.events import decode
from adapters.mysql.history import select_events
from dev.fault_matrix.oracle import unpublished
from dev.topics import messages_of
from schemas.events import ORDERS_TOPIC, OrderStatusChanged

_NO_PROGRESS_SECONDS = 60.0  # a relay that could not publish waits at most a quarter of that


async def all_events_published(stores: Connections) -> Sequence[str]:
    """Wait until every event is published, however long that takes while it makes progress; else a violation."""
    fewest, since = await asyncio.to_thread(unpublished, stores), time.monotonic()
    while left := await asyncio.to_thread(unpublished, stores):
        if left < fewest:
            fewest, since = left, time.monotonic()
        elif time.monotonic() - since > _NO_PROGRESS_SECONDS:
            return [f"events: {left} were never published"]
        await asyncio.sleep(0.1)
    return []


def events_not_on_kafka(stores: Connections) -> Iterator[str]:
    """What is missing on Kafka, or out of order, of what is recorded; a repeat of an event is none."""
    on_kafka = _seqs_on_kafka(stores)
    with stores.engine.connect() as connection:
        events = select_events(lambda _: sa.true(), "order_id", "seq").subquery()
        last = sa.func.max(events.c.seq).label("last")
        rows = connection.execute(sa.select(events.c.order_id, last).group_by(events.c.order_id)).all()
    for order_id, last_seq in rows:
        if on_kafka[order_id] != list(range(1, last_seq + 1)):
            yield f"events: Kafka has {on_kafka[order_id]} of {order_id}, of which 1 to {last_seq} are recorded"


def _seqs_on_kafka(stores: Connections) -> dict[str, list[int]]:
    """The seqs of each order in the order in which a consumer that drops repeats by id sees them."""
    settings, seen, seqs = stores.settings, set[str](), defaultdict[str, list[int]](list)
    for message in messages_of(settings, f"{settings.name_prefix}{ORDERS_TOPIC}"):
        event = decode(message, OrderStatusChanged)
        if event.event_id not in seen:
            seen.add(event.event_id)
            seqs[event.order_id].append(event.seq)
    return seqs
