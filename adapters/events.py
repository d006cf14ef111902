"""Events over Kafka: CloudEvents 1.0 in binary mode, key = what they are about, so that each thing stays in order."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from adapters.kafka import kafka_config
from adapters.settings import Settings
from schemas.events import (
    EVENT_TYPE_PREFIX,
    EVENT_TYPE_SUFFIX,
    TOPICS,
    Event,
    dead_letters,
)

_log = logging.getLogger(__name__)

Headers = list[tuple[str, str | bytes | None]]
EventT = TypeVar("EventT", bound=Event)

PARTITIONS = 6
REASON_HEADER = "dlq_reason"
_DELIVERY_SECONDS = 10.0


class EventsUndelivered(Exception):
    """The broker did not acknowledge every event; publish them again."""


class EventPublisher:
    """Publishes and returns only once the broker has everything on all its in-sync replicas."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._producer: Producer | None = None

    def publish(self, events: Sequence[Event]) -> None:
        """Send the events in this order; raises EventsUndelivered unless each one was acknowledged."""
        producer = self._producer or _producer(self._settings)
        # Kept only if the batch goes through: one that failed may still hold messages, or a fatal error for ever.
        self._producer = None
        messages = [encode(event) for event in events]
        _send(producer, self._topic, [(m.key, m.value, list(m.headers.items())) for m in messages])
        self._producer = producer


@dataclass(frozen=True)
class Delivery(Generic[EventT]):
    """One event and where it stood, to commit it or rewind to it."""

    event: EventT
    topic: str
    partition: int
    offset: int


@dataclass
class Batch(Generic[EventT]):
    """Events that came together, and from where to where they stood in each partition (ends included)."""

    events: list[EventT] = field(default_factory=list)
    first: dict[tuple[str, int], int] = field(default_factory=dict)
    last: dict[tuple[str, int], int] = field(default_factory=dict)

    def add(self, event: EventT | None, topic: str, partition: int, offset: int) -> None:
        """Take one more message in; one that is no event only moves the offset."""
        if event is not None:
            self.events.append(event)
        self.first.setdefault((topic, partition), offset)
        self.last[topic, partition] = offset


class EventConsumer(Generic[EventT]):
    """One member of a consumer group. Nothing is committed but by the caller."""

    def __init__(self, settings: Settings, group: str, topics: Sequence[str], message: type[EventT]) -> None:
        self._settings = settings
        self._message = message
        options = {
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            # The partitions of a killed consumer are reassigned after this long.
            "session.timeout.ms": 10_000,
            "partition.assignment.strategy": "cooperative-sticky",
            "logger": _log,
        }
        self._consumer = Consumer(kafka_config(settings, options))
        self._consumer.subscribe(list(topics))

    def poll(self, timeout: float) -> Delivery[EventT] | None:
        """The next event, or None when none came in time.

        A message that is not one of our events goes to the topic's dead letters, with the reason, and its
        partition moves on. Raises KafkaException when the broker refuses us, EventsUndelivered when it does not
        take a dead letter.
        """
        message = self._next(timeout)
        if message is None:
            return None
        place, event = _position(message), self._read(message)
        if event is None:
            self._commit(*place)
            return None
        return Delivery(event, *place)

    def poll_batch(self, timeout: float, most: int) -> Batch[EventT]:
        """The next events: waits for the first, then takes what is there. Raises as `poll`; then none is taken."""
        batch: Batch[EventT] = Batch()
        try:
            message = self._next(timeout)
            while message is not None:
                batch.add(self._read(message), *_position(message))
                message = self._next(0) if len(batch.events) < most else None
        except (KafkaException, EventsUndelivered):
            self.rewind_batch(batch)
            raise
        return batch

    def commit_batch(self, batch: Batch[EventT]) -> None:
        """Commit the events, which are processed."""
        for (topic, partition), offset in batch.last.items():
            self._commit(topic, partition, offset)

    def rewind_batch(self, batch: Batch[EventT]) -> None:
        """Have the events delivered again, which could not be processed now."""
        for (topic, partition), offset in batch.first.items():
            self._rewind(topic, partition, offset)

    def commit(self, delivery: Delivery[EventT]) -> None:
        """Commit the event, which is processed."""
        self._commit(delivery.topic, delivery.partition, delivery.offset)

    def rewind(self, delivery: Delivery[EventT]) -> None:
        """Have the event, and those after it in its partition, delivered again."""
        self._rewind(delivery.topic, delivery.partition, delivery.offset)

    def close(self) -> None:
        """Leave the group at once, so that the others take over without waiting for a time-out."""
        self._consumer.close()

    def _next(self, timeout: float) -> Message | None:
        message = self._consumer.poll(timeout)
        if message is not None and (error := message.error()):
            raise KafkaException(error)
        return message

    def _read(self, message: Message) -> EventT | None:
        """The event; None for a message that was none and is now among the dead letters."""
        try:
            return decode(message, self._message)
        except Exception as reason:  # noqa: BLE001 - whatever the bytes did to the parser, the partition must move
            try:
                self._to_dead_letters(message, f"{type(reason).__name__}: {reason}")
            except EventsUndelivered:
                self._rewind(*_position(message))
                raise
            return None

    def _rewind(self, topic: str, partition: int, offset: int) -> None:
        try:
            self._consumer.seek(TopicPartition(topic, partition, offset))
        except KafkaException as error:
            # The partition went to another member, which starts from the last commit, so the event is not lost.
            _log.info("cannot rewind %s[%d]: %s", topic, partition, error)

    def _commit(self, topic: str, partition: int, offset: int) -> None:
        try:
            self._consumer.commit(offsets=[TopicPartition(topic, partition, offset + 1)], asynchronous=False)
        except KafkaException as error:
            # A rebalance or a broker that is away: the event comes again, and its consumer knows it by its id.
            _log.warning("offset %d of %s[%d] is not committed: %s", offset, topic, partition, error)

    def _to_dead_letters(self, message: Message, reason: str) -> None:
        topic, partition, offset = _position(message)
        where = f"{topic}[{partition}]@{offset}"
        _log.error("%s goes to the dead letters: %s", where, reason)
        headers = [*_headers(message), (REASON_HEADER, reason[:1000].encode()), ("dlq_from", where.encode())]
        _send(_producer(self._settings), dead_letters(topic), [(message.key(), message.value(), headers)])


def encode(event: Event) -> KafkaMessage:
    """The event as a Kafka message: attributes as `ce_` headers, data as JSON."""
    return to_binary_event(
        CloudEvent(
            attributes={
                "id": event.event_id,
                "source": event.source,
                "type": f"{EVENT_TYPE_PREFIX}{event.type}{EVENT_TYPE_SUFFIX}",
                "specversion": "1.0",
                "time": event.occurred_at,
                "subject": event.aggregate_id,
                "partitionkey": event.aggregate_id,
                "datacontenttype": "application/json",
            },
            data=event.model_dump(mode="json"),
        )
    )


def decode(message: Message, kind: type[EventT]) -> EventT:
    """The event in a Kafka message; raises when it is not a CloudEvent or its data is not of this kind."""
    headers = {name: value for name, value in _headers(message) if isinstance(value, bytes)}
    cloud_event = from_binary_event(KafkaMessage(headers=headers, key=message.key(), value=message.value() or b""))
    return kind.model_validate(cloud_event.get_data())


def ensure_topics(settings: Settings) -> list[str]:
    """Create missing topics with their dead letters, and answer which."""
    # Its own log would repeat "connection refused" for as long as the broker starts; what matters is raised.
    admin = AdminClient(kafka_config(settings, {"log_level": 0}))
    names = [settings.name_prefix + name for topic in TOPICS for name in (topic, dead_letters(topic))]
    known = admin.list_topics(timeout=_DELIVERY_SECONDS).topics
    # -1: the cluster's own default, one replica on a laptop, three on MSK.
    missing = [NewTopic(name, num_partitions=PARTITIONS, replication_factor=-1) for name in names if name not in known]
    if not missing:
        return []
    created = []
    for name, future in admin.create_topics(missing, operation_timeout=_DELIVERY_SECONDS).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
        else:
            created.append(name)
    return created


def _producer(settings: Settings) -> Producer:
    options = {
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 5,
        "delivery.timeout.ms": int(_DELIVERY_SECONDS * 1000),
        "logger": _log,
    }
    return Producer(kafka_config(settings, options))


def _send(producer: Producer, topic: str, messages: Sequence[tuple[str | bytes | None, bytes | None, Headers]]) -> None:
    """Send all of them and wait until each is acknowledged; raises EventsUndelivered when one is not."""
    failures: list[KafkaError] = []
    try:
        for key, value, headers in messages:
            producer.produce(
                topic,
                key=key,
                value=value,
                headers=headers,
                on_delivery=lambda error, _message: failures.append(error) if error else None,
            )
    except (KafkaException, BufferError) as error:
        producer.purge()
        raise EventsUndelivered(str(error)) from error
    left = producer.flush(_DELIVERY_SECONDS + 5)
    if failures or left:
        producer.purge()
        raise EventsUndelivered(str(failures[0]) if failures else f"{left} messages were not acknowledged in time")


def _headers(message: Message) -> Headers:
    return list(cast("Headers", message.headers() or []))


def _position(message: Message) -> tuple[str, int, int]:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        raise ValueError("only a consumed message has a position")
    return topic, partition, offset
