"""Verify results: each message once at its destination, byte for byte, and the status of each job."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from os.path import commonprefix
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bench.errors import WrongResult
from bench.workload import PARTITION_ID, number_of
from tracker import Client, JobStatus

Expected = Callable[[int], tuple[bytes, bytes]]
"""Returns the key and the value that a message must have at its destination, by its number."""

_MAX_RECORDS = 10_000


def verify_messages(
    clients: Mapping[str, Any], topic: str, first: Mapping[int, int], size: int, expected: Expected
) -> None:
    """Check that, from offsets `first` on, the topic has messages 0 to `size` once each and nothing else.

    :raises WrongResult: it has not.
    """
    times_seen = bytearray(size)
    for key, value in committed_records(clients, topic, first):
        try:
            number = number_of(value)
            times_seen[number] = min(2, times_seen[number] + 1)
            sound = (key, value) == expected(number)
        except (ValueError, IndexError):
            sound = False
        if not sound:
            raise WrongResult(f"topic {topic} has a message that it must not have: {value[:1_000]!r}")
    missing, repeated = times_seen.count(0), times_seen.count(2)
    if missing or repeated:
        raise WrongResult(
            f"of {size:,} messages, {missing:,} are missing in topic {topic}, and {repeated:,} are repeated"
        )


def verify_count(clients: Mapping[str, Any], topic: str, count: int) -> None:
    """Check that a topic of one Kafka partition has this many records.

    :raises WrongResult: it has not.
    """
    found = sum(1 for _ in committed_records(clients, topic, {0: 0}))
    if found != count:
        raise WrongResult(f"topic {topic} has {found:,} records, not {count:,}")


def verify_keys(clients: Mapping[str, Any], topic: str, keys: Iterable[bytes]) -> None:
    """Check that a topic of one Kafka partition has one record for each of these keys.

    :raises WrongResult: it has not.
    """
    found, expected = Counter(key for key, _ in committed_records(clients, topic, {0: 0})), Counter(keys)
    if found != expected:
        raise WrongResult(
            f"topic {topic} has {(found - expected).total():,} records too many, and"
            f" {(expected - found).total():,} are missing"
        )


def verify_jobs(
    database_url: str, job_ids: Collection[str], status: JobStatus, percentage: float | None
) -> None:
    """Check that each of these jobs has this status and, unless it is None, this percentage.

    :raises WrongResult: a job has not.
    """
    missing = set(job_ids)
    prefix = commonprefix(list(job_ids))  # noqa: RUF071 - strings; there can be millions of other jobs
    with Client(database_url) as client:
        for job in client.iterate(partition_id=PARTITION_ID, prefix=prefix):
            if job.id not in missing:
                continue
            missing.discard(job.id)
            expected = job.percentage_complete if percentage is None else percentage
            if (job.status, job.percentage_complete) != (status, expected):
                raise WrongResult(
                    f"job {job.id} is {job.status} at {job.percentage_complete} %, not "
                    f"{status} at {expected} %"
                )
    if missing:
        raise WrongResult(f"job {min(missing)} is no longer stored")


def committed_records(
    clients: Mapping[str, Any], topic: str, first: Mapping[int, int]
) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value of each record that is committed now, from the offsets `first` on."""
    consumer = Consumer(
        {
            **clients,
            "group.id": f"{topic}-reader",  # required, but unused: it neither subscribes nor commits
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
        }
    )
    consumer.assign([TopicPartition(topic, number, offset) for number, offset in first.items()])
    unread = set(first)
    try:
        while unread:
            for record in consumer.consume(_MAX_RECORDS, 0.1):
                error, kafka_partition = record.error(), record.partition()
                if error is None:
                    yield record.key() or b"", record.value() or b""
                elif error.code() == KafkaError._PARTITION_EOF and kafka_partition is not None:
                    unread.discard(kafka_partition)
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()
