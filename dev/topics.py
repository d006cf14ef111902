"""A topic of Kafka as an outsider reads it: what every consumer would see."""

import uuid
from collections.abc import Iterator

from confluent_kafka import Consumer, Message, TopicPartition

from adapters.kafka import kafka_config
from adapters.settings import Settings

_ANSWER_SECONDS = 30


def messages_of(settings: Settings, topic: str) -> Iterator[Message]:
    """All messages that the topic has now, those of a partition in their order."""
    consumer = Consumer(kafka_config(settings, {"group.id": f"outsider-{uuid.uuid4()}"}))
    try:
        numbers = consumer.list_topics(topic, timeout=_ANSWER_SECONDS).topics[topic].partitions
        places = [TopicPartition(topic, number) for number in numbers]
        ends = {place.partition: consumer.get_watermark_offsets(place, timeout=_ANSWER_SECONDS) for place in places}
        consumer.assign([TopicPartition(topic, number, low) for number, (low, _) in ends.items()])
        unread = {number for number, (low, high) in ends.items() if high > low}
        while unread:
            message = consumer.poll(_ANSWER_SECONDS)
            if message is None or message.error() is not None:
                raise RuntimeError(f"Kafka does not answer: {message and message.error()}")
            partition, offset = message.partition(), message.offset()
            if partition is None or offset is None:
                raise RuntimeError("a consumed message has no position")
            if offset + 1 >= ends[partition][1]:
                unread.discard(partition)
            yield message
    finally:
        consumer.close()
