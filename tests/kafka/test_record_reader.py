"""Records are read between offsets, also backwards, whatever lies between them that is no record."""

import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import Producer, TopicPartition

from tests.support.kafka import DEADLINE_S, Kafka, MakeTopic
from tests.support.records import Record
from tracker.kafka.record_reader import RecordReader
from tracker.settings import load


class CountingReader(RecordReader):
    """Counts how often it begins to read."""

    reads = 0

    def _assign(self, starts: list[TopicPartition]) -> None:
        self.reads += 1
        super()._assign(starts)


@pytest.fixture
def log(topic: MakeTopic) -> str:
    return topic("log", **{"retention.ms": "-1"})


@pytest.fixture
def reader(bootstrap_servers: str) -> Iterator[CountingReader]:
    settings = load({"TRACKER_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers}, need={"kafka"})
    with closing(CountingReader(settings)) as reader:
        yield reader


@pytest.fixture
def kafka(bootstrap_servers: str) -> Iterator[Kafka]:
    with closing(Kafka(bootstrap_servers)) as kafka:
        yield kafka


def write(kafka: Kafka, log: str, number: int, *, commit: bool) -> None:
    """Write records in a transaction; its marker has an offset too."""
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": uuid.uuid4().hex, "log_level": 2}
    )
    producer.init_transactions(DEADLINE_S)
    producer.begin_transaction()
    for _ in range(number):
        producer.produce(log, b"x", partition=0)
    assert producer.flush(DEADLINE_S) == 0
    if commit:
        producer.commit_transaction(DEADLINE_S)
    else:
        producer.abort_transaction(DEADLINE_S)
    kafka.wait_for_markers(log)


def backwards(reader: RecordReader, log: str, at_a_time: int, first: int | None = None) -> list[int]:
    start, end = reader.bounds((log, 0))
    keep = reader.read_backwards(
        (log, 0), start if first is None else first, end, lambda record: record.offset, at_a_time
    )
    return list(keep)


@pytest.mark.parametrize("at_a_time", [1, 7, 1_000])
def test_each_record_is_read_once_and_the_newest_first(
    kafka: Kafka, reader: CountingReader, log: str, at_a_time: int
) -> None:
    write(kafka, log, 10, commit=True)
    write(kafka, log, 15, commit=False)
    write(kafka, log, 3, commit=True)
    committed = [*range(10), *range(27, 30)]
    assert backwards(reader, log, at_a_time) == committed[::-1]
    assert backwards(reader, log, at_a_time, first=5) == [offset for offset in committed[::-1] if offset >= 5]


def test_many_aborted_records_are_passed_in_few_steps_and_none_before_them_is_lost(
    kafka: Kafka, reader: CountingReader, log: str
) -> None:
    write(kafka, log, 1_000, commit=True)
    write(kafka, log, 10_000, commit=False)
    assert backwards(reader, log, 100) == [*range(1_000)][::-1]
    assert reader.reads < 30


def test_what_is_not_decided_is_not_read(kafka: Kafka, reader: RecordReader, log: str) -> None:
    kafka.send([Record(log, None, b"first")], log)
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": uuid.uuid4().hex, "log_level": 2}
    )
    producer.init_transactions(DEADLINE_S)
    producer.begin_transaction()
    producer.produce(log, b"open")
    assert producer.flush(DEADLINE_S) == 0
    assert backwards(reader, log, 10) == [0]
    producer.abort_transaction(DEADLINE_S)


def test_what_retention_removes_meanwhile_is_left_out(kafka: Kafka, reader: RecordReader, log: str) -> None:
    kafka.send([Record(log, None, b"x")] * 10, log)
    assert reader.bounds((log, 0)) == (0, 10)
    kafka.delete_records(log, before=5)
    assert [record.offset for record in reader.read((log, 0), 0, 8)] == [5, 6, 7]
    assert [record.offset for record in reader.read((log, 0), 0, 3)] == []


def test_since_a_time_no_record_of_it_is_left_out(kafka: Kafka, reader: RecordReader, log: str) -> None:
    """Times need not grow with the offsets, and several records may have one time."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 500, "log_level": 2})
    times = [1_000, 2_000, 3_000, 2_000, 3_000, 1_000]
    for time_ms in times:
        producer.produce(log, b"x", partition=0, timestamp=time_ms)
    assert producer.flush(DEADLINE_S) == 0
    first, end = reader.bounds((log, 0), since_ms=3_000)
    assert [record.timestamp_ms for record in reader.read((log, 0), first, end)] == times[2:]
    assert reader.bounds((log, 0), since_ms=2_000)[0] == 1
    assert reader.bounds((log, 0), since_ms=0) == (0, 6)
    assert reader.bounds((log, 0), since_ms=3_001) == (6, 6)


def test_a_record_has_what_is_stored(kafka: Kafka, reader: RecordReader, log: str) -> None:
    kafka.send([Record(log, b"k", None, (("a", None), ("b", b"\xff")))], log)
    [record] = reader.read((log, 0), 0, 1)
    assert (record.kafka_partition, record.offset, record.key, record.value) == (0, 0, b"k", None)
    assert [*record.headers] == [("a", None), ("b", b"\xff")]
    assert record.timestamp_ms


def test_no_group_is_made(kafka: Kafka, bootstrap_servers: str, log: str) -> None:
    group = f"group-{uuid.uuid4().hex}"
    variables = {"TRACKER_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers, "TRACKER_GROUP_ID": group}
    kafka.send([Record(log, None, b"x")], log)
    with closing(RecordReader(load(variables, need={"kafka"}))) as reader:
        assert len([*reader.read_all([(log, 0)])]) == 1
    groups = kafka.admin.list_consumer_groups(request_timeout=DEADLINE_S).result(timeout=DEADLINE_S)
    assert group not in {each.group_id for each in groups.valid}
