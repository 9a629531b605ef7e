"""A member of a consumer group, as a worker of users is: it reads a topic."""

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer

from tests.support.deployment import Deployment
from tests.support.kafka import wait_until


@contextmanager
def group_member(deployment: Deployment, group_id: str, topic: str) -> Iterator[Consumer]:
    """Give the consumer of a member that has all Kafka partitions of a topic, and has committed nothing."""
    consumer = Consumer(
        {
            "bootstrap.servers": deployment.variables["TRACKER_KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": group_id,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": "false",
        }
    )
    try:
        consumer.subscribe([topic])
        wait_until(lambda: consumer.poll(0.2) is not None, "its first record")
        yield consumer
    finally:
        consumer.close()
