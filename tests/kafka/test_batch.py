"""What a batch says of its records."""

import random

from confluent_kafka import Message

from tracker.kafka.batch import Batch, Epoch, OffsetRange
from tracker.kafka_partition import KafkaPartition


def record(kafka_partition: KafkaPartition, offset: int, time_ms: int | None) -> Message:
    topic, number = kafka_partition
    timestamp = None if time_ms is None else (1, time_ms)
    return Message(topic=topic, partition=number, offset=offset, value=b"", timestamp=timestamp)


def batch(*records: Message, passed: tuple[KafkaPartition, ...] = ()) -> Batch:
    """Return a batch of records, which has also passed markers of other Kafka partitions."""
    keys = {(each.topic() or "", each.partition() or 0) for each in records} | {*passed}
    return Batch(records, dict.fromkeys(keys, OffsetRange(0, 9)), Epoch(), None)


def test_the_last_time_of_each_kafka_partition_is_found_whatever_their_order() -> None:
    generator = random.Random(7)
    keys = [("a", 0), ("a", 1), ("b", 0)]
    for count in (1, 2, 5, 40, 400):
        order = [generator.choice(keys[: generator.randint(1, 3)]) for _ in range(count)]
        records = [record(key, offset, 1_000 + offset) for offset, key in enumerate(order)]
        expected = {key: 1_000 + offset for offset, key in enumerate(order)}
        assert batch(*records, passed=(("c", 0),)).last_times_ms() == expected


def test_a_time_that_is_unknown_or_beyond_all_dates_does_no_harm() -> None:
    late = 2**63 - 1
    records = [record(("a", 0), 1, None), record(("b", 0), 1, late), record(("c", 0), 1, -5)]
    assert batch(*records).last_times_ms() == {("a", 0): -1, ("b", 0): 253_402_300_799_999, ("c", 0): -1}
    assert batch(passed=(("a", 0),)).last_times_ms() == {}
