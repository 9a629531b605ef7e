"""A transaction is aborted while the producer does not know which of its messages the broker has."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tests.faults.cluster import Cluster
from tests.faults.proxy import TO_CLIENT
from tests.support.environments import loaded
from tests.support.kafka import Kafka, wait_until
from tracker.kafka.errors import BatchAbandoned
from tracker.kafka.producer import BatchProducer, OutgoingMessage
from tracker.metrics import Recorder

BATCH = [OutgoingMessage("", b"key", b"message %d" % number, None) for number in range(5)]
SOCKET_TIMEOUT_S = 1.0


@pytest.fixture
def producer(one_broker: Cluster, kafka_topic: str) -> BatchProducer:
    """A producer that uses the proxy and lingers, so that a test can block the network before it sends."""
    settings = loaded(
        **one_broker.variables(one_broker.stack.database_url),
        TRACKER_KAFKA_PRODUCER_LINGER_MS="500",
        TRACKER_KAFKA_PRODUCER_SOCKET_TIMEOUT_MS=str(int(SOCKET_TIMEOUT_S * 1000)),
    )
    return BatchProducer(settings, kafka_topic, Recorder(), lambda _: time.sleep(0.05))


def test_the_redelivered_batch_is_stored_once(
    one_broker: Cluster, kafka_topic: str, producer: BatchProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker must not take its messages for duplicates of the aborted ones that it has."""
    kafka = Kafka(one_broker.bootstrap_servers)
    proxy = one_broker.kafka_proxies[0]
    group = Consumer({"bootstrap.servers": one_broker.bootstrap_servers, "group.id": kafka_topic})
    publish = _publisher(producer, kafka_topic, group)
    retry = producer._retry

    def fails_to_commit_offsets(call: Callable[..., object], *arguments: object) -> None:
        if call.__name__ != "send_offsets_to_transaction":
            retry(call, *arguments)
            return
        time.sleep(0.25)  # now the Kafka partition is part of the transaction, and the messages linger
        proxy.block(TO_CLIENT)
        wait_until(lambda: kafka.ends(kafka_topic)[kafka_topic, 0] >= len(BATCH), "messages in the log")
        time.sleep(1.5 * SOCKET_TIMEOUT_S)  # librdkafka gives the request up, and will retry it
        threading.Timer(0.5, one_broker.heal).start()
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "unknown", txn_requires_abort=True))

    producer.start()
    monkeypatch.setattr(producer, "_retry", fails_to_commit_offsets)
    with pytest.raises(BatchAbandoned):
        publish()
    monkeypatch.undo()
    assert kafka.read(kafka_topic) == []
    publish()
    group.close()
    assert [record.value for record in kafka.read(kafka_topic)] == [message.value for message in BATCH]


def _publisher(producer: BatchProducer, topic: str, group: Consumer) -> Callable[[], None]:
    messages = [message._replace(topic=topic) for message in BATCH]
    nothing: list[Any] = []

    def publish() -> None:
        offsets = [TopicPartition(topic, 0, 1)]
        producer.publish(nothing, nothing, nothing, messages, offsets, group.consumer_group_metadata())

    return publish
