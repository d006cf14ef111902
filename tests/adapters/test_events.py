"""Order events survive Kafka, and what is not one does not stop those behind it."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import uuid_utils
from confluent_kafka import Consumer, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from adapters.events import Delivery, EventConsumer, EventPublisher, EventsUndelivered, decode, ensure_topics
from adapters.kafka import kafka_config
from adapters.settings import Settings
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from schemas.events import TOPICS, OrderStatusChanged, dead_letters

Listen = Callable[[], EventConsumer[OrderStatusChanged]]


@pytest.fixture
def topic(settings: Settings) -> Iterator[str]:
    """A topic of one partition, with its dead letters, for one test."""
    name = f"test-{uuid_utils.uuid7().hex}"
    admin = AdminClient(kafka_config(settings, {}))
    topics = [NewTopic(one, 1, 1) for one in (name, dead_letters(name))]
    for future in admin.create_topics(topics).values():
        future.result(30)
    yield name
    for future in admin.delete_topics([name, dead_letters(name)]).values():
        future.result(30)


@pytest.fixture
def listen(settings: Settings, topic: str) -> Iterator[Listen]:
    """Open a member of the test's consumer group; it is closed at the end."""
    opened = []

    def open_consumer() -> EventConsumer[OrderStatusChanged]:
        opened.append(EventConsumer(settings, f"{topic}-group", [topic], OrderStatusChanged))
        return opened[-1]

    yield open_consumer
    for consumer in opened:
        consumer.close()


def make_event(seq: int = 1, order_id: str = "order-1") -> OrderStatusChanged:
    return OrderStatusChanged(
        event_id=str(uuid_utils.uuid7()),
        order_id=order_id,
        seq=seq,
        type="parcel.dispatched",
        status=OrderStatus.SHIPPED,
        payment_status=PaymentStatus.CAPTURED,
        fulfilment_status=FulfilmentStatus.SHIPPED,
        actor="carrier",
        occurred_at=datetime(2026, 11, 23, 12, 30, 15, 123456, tzinfo=UTC),
        data={"parcel": 1, "location": "Köln"},
    )


def next_delivery(consumer: EventConsumer[OrderStatusChanged], seconds: float = 120) -> Delivery[OrderStatusChanged]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if delivery := consumer.poll(0.5):
            return delivery
    raise AssertionError(f"nothing came within {seconds} s")


def read_raw(settings: Settings, topic: str) -> Message:
    consumer = Consumer(kafka_config(settings, {"group.id": topic, "auto.offset.reset": "earliest"}))
    consumer.subscribe([topic])
    try:
        message = consumer.poll(30)
        assert message is not None
        assert message.error() is None
        return message
    finally:
        consumer.close()


def test_event_comes_back_as_it_was_sent(settings: Settings, topic: str, listen: Listen) -> None:
    event = make_event()
    EventPublisher(settings, topic).publish([event])
    assert next_delivery(listen()).event == event


def test_event_is_a_binary_mode_cloud_event_keyed_by_its_order(settings: Settings, topic: str) -> None:
    event = make_event()
    EventPublisher(settings, topic).publish([event])
    message = read_raw(settings, topic)
    headers = {str(one[0]): bytes(one[1]).decode() for one in message.headers() or []}  # type: ignore[arg-type]
    assert message.key() == b"order-1"
    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_id"] == event.event_id
    assert headers["ce_type"] == "com.orderengine.parcel.dispatched.v1"
    assert headers["ce_source"] == "/orders"
    assert headers["ce_subject"] == headers["ce_partitionkey"] == "order-1"
    assert headers["content-type"] == "application/json"
    assert decode(message, OrderStatusChanged) == event


def test_uncommitted_event_is_delivered_again_after_a_crash(settings: Settings, topic: str, listen: Listen) -> None:
    EventPublisher(settings, topic).publish([make_event(1), make_event(2)])
    first = EventConsumer(settings, f"{topic}-group", [topic], OrderStatusChanged)
    first.commit(next_delivery(first))
    assert next_delivery(first).event.seq == 2
    first.close()
    assert next_delivery(listen()).event.seq == 2


def test_a_rejected_event_comes_again_before_the_next(settings: Settings, topic: str, listen: Listen) -> None:
    EventPublisher(settings, topic).publish([make_event(1), make_event(2)])
    consumer = listen()
    delivery = next_delivery(consumer)
    consumer.rewind(delivery)
    assert [next_delivery(consumer).event.seq, next_delivery(consumer).event.seq] == [1, 2]


@pytest.mark.parametrize(
    "poison", [b"not json", b"{}", b"", b'{"event_id": 1}'], ids=["text", "empty-object", "nothing", "incomplete"]
)
def test_poison_goes_to_the_dead_letters_and_the_partition_moves_on(
    settings: Settings, topic: str, listen: Listen, poison: bytes
) -> None:
    producer = Producer(kafka_config(settings, {}))
    producer.produce(topic, key=b"k", value=poison, headers=[("ce_id", b"1"), ("trace", b"abc")])
    assert producer.flush(30) == 0
    EventPublisher(settings, topic).publish([make_event(7)])
    assert next_delivery(listen()).event.seq == 7
    dead = read_raw(settings, dead_letters(topic))
    headers = dict(dead.headers() or [])
    assert (dead.key(), dead.value() or b"", headers["trace"]) == (b"k", poison, b"abc")
    assert headers["dlq_reason"]
    assert headers["dlq_from"] == f"{topic}[0]@0".encode()


def test_publishing_without_a_broker_is_an_outage(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.events._DELIVERY_SECONDS", 1.0)
    with pytest.raises(EventsUndelivered):
        EventPublisher(settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"}), topic="none").publish(
            [make_event()]
        )


def test_publisher_works_again_after_a_batch_that_failed(settings: Settings, topic: str, listen: Listen) -> None:
    publisher = EventPublisher(settings, topic)
    too_large = make_event(1).model_copy(update={"data": {"text": "x" * 2_000_000}})
    with pytest.raises(EventsUndelivered):
        publisher.publish([too_large])
    publisher.publish([make_event(2)])
    assert next_delivery(listen()).event.seq == 2


def test_topics_are_made_once(settings: Settings) -> None:
    ensure_topics(settings)
    assert ensure_topics(settings) == []
    known = AdminClient(kafka_config(settings, {})).list_topics(timeout=10).topics
    for name in TOPICS:
        topic = known[f"{settings.name_prefix}{name}"]
        assert len(topic.partitions) == 6
        assert f"{settings.name_prefix}{dead_letters(name)}" in known
