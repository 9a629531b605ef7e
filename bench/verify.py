"""Looks at what came out: each message once at its destination, byte for byte, and each job as it must be."""

from collections.abc import Callable, Iterator, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bench.errors import WrongResult
from bench.servers import connection
from bench.workload import PARTITION_ID, Workload, number_of
from tracker import Client, JobStatus

Expected = Callable[[int], tuple[bytes, bytes]]
"""The key and the value that a message must have at its destination, by its number."""

_AT_ONCE = 10_000


def verify_messages(
    bootstrap_servers: str, topic: str, first: Mapping[int, int], size: int, expected: Expected
) -> None:
    """Make sure that the topic has messages 0 to `size` once each, and nothing else, from offsets `first` on.

    :raises WrongResult: it has not.
    """
    times_seen = bytearray(size)
    for key, value in committed_records(bootstrap_servers, topic, first):
        try:
            number = number_of(value)
            sound = (key, value) == expected(number)
            times_seen[number] = min(2, times_seen[number] + 1)
        except (ValueError, IndexError):
            sound = False
        if not sound:
            raise WrongResult(f"topic {topic} has a message that it should not have: {value[:1_000]!r}")
    missing, repeated = times_seen.count(0), times_seen.count(2)
    if missing or repeated:
        raise WrongResult(
            f"of {size:,} messages {missing:,} are missing in topic {topic}, {repeated:,} are repeated"
        )


def verify_count(bootstrap_servers: str, topic: str, count: int) -> None:
    """Make sure that a topic of one Kafka partition has this many records.

    :raises WrongResult: it has not.
    """
    found = sum(1 for _ in committed_records(bootstrap_servers, topic, {0: 0}))
    if found != count:
        raise WrongResult(f"topic {topic} has {found:,} records, where {count:,} are right")


def verify_jobs(database_url: str, workload: Workload) -> None:
    """Make sure that every job of the workload is as it has to be afterwards.

    :raises WrongResult: one is not.
    """
    percentage = 100.0 if workload.expected_status is JobStatus.COMPLETED else 0.0
    with Client(database_url) as client:
        jobs = {job.id: job for job in client.iterate(partition_id=PARTITION_ID)}
    for job_id in workload.job_ids:
        job = jobs.get(job_id)
        if job is None:
            raise WrongResult(f"job {job_id} is not stored any more")
        if (job.status, job.percentage_complete) != (workload.expected_status, percentage):
            raise WrongResult(
                f"job {job_id} is {job.status} at {job.percentage_complete} %, where "
                f"{workload.expected_status} at {percentage} % is right"
            )


def committed_records(
    bootstrap_servers: str, topic: str, first: Mapping[int, int]
) -> Iterator[tuple[bytes, bytes]]:
    """Return key and value of each committed record there is just now, from the offsets `first` on."""
    consumer = Consumer(
        {
            **connection(bootstrap_servers),
            "group.id": f"{topic}-reader",  # needed, and never used: it neither subscribes nor commits
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
        }
    )
    consumer.assign([TopicPartition(topic, number, offset) for number, offset in first.items()])
    left = set(first)
    try:
        while left:
            for record in consumer.consume(_AT_ONCE, 0.1):
                error, kafka_partition = record.error(), record.partition()
                if error is None:
                    yield record.key() or b"", record.value() or b""
                elif error.code() == KafkaError._PARTITION_EOF and kafka_partition is not None:
                    left.discard(kafka_partition)
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()
