"""New messages of a topic, for every process that follows it: no group, no offsets, no catching up."""

import threading
from collections.abc import Callable, Collection

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from adapters.kafka import kafka_config
from adapters.settings import Settings

_log = structlog.get_logger(__name__)
_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 5.0
_MOST_AT_ONCE = 500
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 15.0


class TopicTail:
    """Calls `on_keys` with the keys of new messages, in the thread of `follow`.

    A hint to look sooner, and no more: messages may be missed while the broker is away.
    """

    def __init__(self, settings: Settings, topic: str, on_keys: Callable[[Collection[str]], None]) -> None:
        self._settings = settings
        self._topic = topic
        self._on_keys = on_keys

    def follow(self, stop: threading.Event) -> None:
        """Follow the topic until stopped."""
        pause = _FIRST_PAUSE
        while not stop.is_set():
            consumer = self._consumer()
            try:
                self._begin(consumer)
                pause = _FIRST_PAUSE
                self._consume(consumer, stop)
            except KafkaException as error:
                _log.warning("a topic cannot be followed", topic=self._topic, error=str(error)[:200], retry_in=pause)
                stop.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            finally:
                consumer.close()

    def _consumer(self) -> Consumer:
        options = {
            "group.id": "none",  # required by the library; without a subscription or a commit it never exists
            "enable.auto.commit": False,
            "auto.offset.reset": "latest",
            "log_level": 0,
        }
        return Consumer(kafka_config(self._settings, options))

    def _begin(self, consumer: Consumer) -> None:
        partitions = consumer.list_topics(self._topic, timeout=_PATIENCE_SECONDS).topics[self._topic].partitions
        if not partitions:  # it does not exist yet
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
        consumer.assign([TopicPartition(self._topic, number, OFFSET_END) for number in partitions])

    def _consume(self, consumer: Consumer, stop: threading.Event) -> None:
        while not stop.is_set():
            messages = consumer.consume(_MOST_AT_ONCE, _LOOK_SECONDS)
            keys = {key for message in messages if (key := _key(message)) is not None}
            if keys:
                self._on_keys(keys)


def _key(message: Message) -> str | None:
    key = message.key()
    if message.error() is not None or key is None:
        return None
    return key.decode(errors="replace") if isinstance(key, bytes) else key
