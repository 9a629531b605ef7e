"""Wrong results are noticed: messages that are missing, repeated or foreign at the destination."""

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from bench.errors import WrongResult
from bench.servers import end_offsets
from bench.verify import verify_count, verify_jobs, verify_messages
from bench.workload import KAFKA_PARTITIONS, PARTITION_ID, Size, TasksInTurn, Topics, Workload, start_task
from tests.support.kafka import MakeTopic
from tracker import Client, JobStatus, NewJob

SIZE = 40


@pytest.fixture
def workload() -> Workload:
    return TasksInTurn(Topics.of("bench"), Size(40), jobs=4)


class Destination:
    """A topic to which messages of a workload have been forwarded."""

    def __init__(self, bootstrap_servers: str, topic: str, admin: AdminClient, workload: Workload) -> None:
        self._clients = {"bootstrap.servers": bootstrap_servers, "log_level": 2}
        self._topic = topic
        self._workload = workload
        self._producer = Producer({**self._clients, "transactional.id": topic})
        self._producer.init_transactions(30)
        self.first = end_offsets(admin, topic, KAFKA_PARTITIONS, committed=True)

    def forward(self, numbers: list[int], *, commit: bool = True) -> None:
        self.send([self._workload.forwarded(number) for number in numbers], commit=commit)

    def send(self, records: list[tuple[bytes, bytes]], *, commit: bool = True) -> None:
        self._producer.begin_transaction()
        for key, value in records:
            self._producer.produce(self._topic, value, key)
        self._producer.flush()
        (self._producer.commit_transaction if commit else self._producer.abort_transaction)(30)

    def verify(self) -> None:
        verify_messages(self._clients, self._topic, self.first, SIZE, self._workload.forwarded)


@pytest.fixture
def destination(
    bootstrap_servers: str, topic: MakeTopic, admin: AdminClient, workload: Workload
) -> Destination:
    return Destination(bootstrap_servers, topic("work", KAFKA_PARTITIONS), admin, workload)


def test_each_message_once_is_right_whatever_was_aborted(destination: Destination) -> None:
    destination.forward([3, 4], commit=False)
    destination.forward(list(range(SIZE)))

    destination.verify()


def test_missing_and_repeated_messages_are_counted(destination: Destination) -> None:
    destination.forward([0, *range(SIZE - 2)])

    with pytest.raises(WrongResult, match=r"of 40 messages, 2 are missing .* 1 are repeated"):
        destination.verify()


def test_a_message_that_is_not_as_it_should_be_is_shown(destination: Destination, workload: Workload) -> None:
    destination.forward(list(range(1, SIZE)))
    destination.send([workload.sent(0)])  # its tracking was not taken out

    with pytest.raises(WrongResult, match=r"must not have: .*job-000000\.1"):
        destination.verify()


def test_a_foreign_message_is_shown(destination: Destination) -> None:
    destination.forward(list(range(SIZE)))
    destination.send([(b"key", b"something else")])

    with pytest.raises(WrongResult, match="must not have: b'something else'"):
        destination.verify()


def test_records_are_counted(bootstrap_servers: str, topic: MakeTopic) -> None:
    name, clients = topic("dead", 1), {"bootstrap.servers": bootstrap_servers, "log_level": 2}

    verify_count(clients, name, 0)
    with pytest.raises(WrongResult, match="has 0 records, not 4"):
        verify_count(clients, name, 4)


@pytest.fixture
def jobs(database_url: str) -> list[str]:
    """Two jobs that wait."""
    task = start_task(Topics.of("bench"), "work")
    with Client(database_url) as client:
        client.submit([NewJob(partition_id=PARTITION_ID, id=job_id, task=task) for job_id in "ab"])
    return ["a", "b"]


def test_jobs_that_are_as_they_must_be_are_right(database_url: str, jobs: list[str]) -> None:
    verify_jobs(database_url, jobs, JobStatus.WAITING, 0.0)


def test_a_job_with_another_status_or_percentage_is_named(database_url: str, jobs: list[str]) -> None:
    with pytest.raises(WrongResult, match=r"job . is Waiting at 0.0 %, not Completed at 100.0 %"):
        verify_jobs(database_url, jobs, JobStatus.COMPLETED, 100.0)
    with pytest.raises(WrongResult, match=r"not Waiting at 50.0 %"):
        verify_jobs(database_url, jobs, JobStatus.WAITING, 50.0)


def test_a_job_that_is_gone_is_named(database_url: str, jobs: list[str]) -> None:
    with pytest.raises(WrongResult, match="job c is no longer stored"):
        verify_jobs(database_url, [*jobs, "c"], JobStatus.WAITING, 0.0)
