"""Records that librdkafka cannot hand over."""

import os

from confluent_kafka import Producer

HUGE_BYTES = 2_000_000


def send_bomb(bootstrap_servers: str, topic: str, kafka_partition: int, records: int = 2_000) -> None:
    """Send a batch that cannot be unpacked: records of 100 kB, some 13 bytes each when they are packed."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "compression.type": "zstd",
            "linger.ms": 10_000,  # all of them go together, when they are flushed
            "batch.size": 2_147_483_647,
            "batch.num.messages": 1_000_000,
            "message.max.bytes": 1_000_000_000,
            "queue.buffering.max.kbytes": 2_000_000,
        }
    )
    for _ in range(records):
        producer.produce(topic, b"x" * 100_000, partition=kafka_partition)
    assert producer.flush(60) == 0


def send_huge(bootstrap_servers: str, topic: str, kafka_partition: int) -> None:
    """Send a record that is larger than what `SMALL_RECEIVER` can receive."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "message.max.bytes": 2 * HUGE_BYTES})
    producer.produce(topic, os.urandom(HUGE_BYTES), partition=kafka_partition)
    assert producer.flush(60) == 0


SMALL_RECEIVER = {
    "TRACKER_KAFKA_CONSUMER_RECEIVE_MESSAGE_MAX_BYTES": "1000000",
    "TRACKER_KAFKA_CONSUMER_FETCH_MAX_BYTES": "500000",
    "TRACKER_KAFKA_CONSUMER_MAX_PARTITION_FETCH_BYTES": "500000",
    "TRACKER_KAFKA_MESSAGE_MAX_BYTES": "400000",
}
