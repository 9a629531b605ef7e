"""Keys are looked for where the two kinds of producers put them."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from tests.support.kafka import Kafka, MakeTopic
from tracker.kafka.key_hash import candidates, murmur2

# From the tests of Kafka's Java client (UtilsTest.testMurmur2).
KNOWN = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.fixture
def kafka(bootstrap_servers: str) -> Iterator[Kafka]:
    kafka = Kafka(bootstrap_servers)
    yield kafka
    kafka.close()


@pytest.mark.parametrize("key", KNOWN)
def test_the_hash_is_javas(key: bytes) -> None:
    assert murmur2(key) == KNOWN[key] & 0xFFFF_FFFF


@pytest.mark.parametrize("partitioner", ["consistent_random", "murmur2_random"])
def test_keys_are_where_producers_put_them(kafka: Kafka, topic: MakeTopic, partitioner: str) -> None:
    name = topic("keys", partitions=7)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "partitioner": partitioner})
    for number in range(200):
        producer.produce(name, key=f"acme:job-{number}", value=b"")
    producer.flush()
    records = kafka.read(name)
    assert len(records) == 200
    assert all(record.kafka_partition in candidates(record.key or b"", 7) for record in records)
