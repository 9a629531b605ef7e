"""One deployment of the tracker, for one test: topics, a database, settings, and what runs."""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import msgspec
import psycopg

import tracker.pipeline
import tracker.scheduler
from tests.support.kafka import DEADLINE_S, Kafka, Received, wait_until
from tests.support.messages import key_of, progress_event, record_of, task_message, tracking_report
from tests.support.profile import GROUP_PROTOCOL, PROTOCOL_VARIABLE, member_settings
from tests.support.records import Headers, Record
from tracker import Client, Job, NewJob, NewTask
from tracker.lifeline import ChildStatus, Lifeline
from tracker.settings import Settings, load
from tracker.store.connect import connect

ACME = "acme"


class Topics(NamedTuple):
    """The topics of a deployment; `work` is where workers read, `results` where tracking ends."""

    tracking: str
    work: str
    results: str
    dead_letters: str


class Member:
    """A worker or a scheduler, on a thread of its own."""

    def __init__(self, run: Callable[[Lifeline], int]) -> None:
        self.lifeline = _Lifeline(None)
        self._run = run
        self._ended: int | BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="member")
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether it is."""
        self.require_alive()
        return self.lifeline.status is not None and self.lifeline.status().ready

    @property
    def has_work(self) -> bool:
        """Whether it has begun something that it has not ended: its metrics may not count that yet."""
        status = self.lifeline.status
        return self.is_running and status is not None and status().has_work

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._ended is None

    def require_alive(self) -> None:
        """Fail if it has ended, with what it ended with."""
        if isinstance(self._ended, BaseException):
            raise self._ended
        assert self._ended is None, f"it ended with {self._ended}"

    def wait(self) -> int:
        """Wait until it has ended by itself, and return its exit status, or raise what it ended with."""
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "it does not end"
        if isinstance(self._ended, BaseException):
            raise self._ended
        assert self._ended is not None
        return self._ended

    def stop(self) -> int:
        """Ask it to stop, and wait until it has."""
        self.lifeline.stopping.set()
        return self.wait()

    def count(self, metric: Any, **labels: str) -> float:
        """Return what it has counted: the sum over the labels that are not given."""
        series = self.lifeline.recorder.snapshot().get(metric.name, {})
        names = [label.name for label in metric.labels]
        return sum(
            numbers[0]
            for values, numbers in series.items()
            if labels.items() <= dict(zip(names, values, strict=True)).items()
        )

    def _main(self) -> None:
        try:
            self._ended = self._run(self.lifeline)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._ended = error


class _Lifeline(Lifeline):
    status: Callable[[], ChildStatus] | None = None

    def report(self, status: Callable[[], ChildStatus]) -> None:
        self.status = status


class Deployment:
    """Topics, a database, settings, and the members that run. Nothing runs until `start`."""

    def __init__(self, bootstrap_servers: str, database_url: str, topics: Topics, **variables: str) -> None:
        self.kafka = Kafka(bootstrap_servers)
        self.database_url = database_url
        self.topics = topics
        self.group_id = f"group-{uuid.uuid4().hex[:12]}"
        self.variables = {
            "TRACKER_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "TRACKER_DATABASE_URL": database_url,
            "TRACKER_TOPICS": topics.tracking,
            "TRACKER_DEAD_LETTER_TOPIC": topics.dead_letters,
            "TRACKER_GROUP_ID": self.group_id,
            "TRACKER_INSTANCE": "test",
            "TRACKER_WORKERS": "2",
            "TRACKER_HTTP_PORT": "",
            # Members hear of a rebalance with a heartbeat: every 3 s by default.
            **member_settings(variables.get(PROTOCOL_VARIABLE, GROUP_PROTOCOL), HEARTBEAT_INTERVAL_MS="300"),
            **variables,
        }
        self.client = Client(database_url)
        self.client.open()
        self.database: psycopg.Connection[Any] = connect(database_url, autocommit=True)
        self.workers: list[Member] = []
        self.schedulers: list[Member] = []
        self.programs = 0  # how many `tracker run` there are

    def use_database(self, url: str) -> None:
        """Use another database, or the same again after its connections were lost."""
        self.client.close()
        self.database.close()
        self.database_url = self.variables["TRACKER_DATABASE_URL"] = url
        self.client = Client(url)
        self.client.open()
        self.database = connect(url, autocommit=True)

    @property
    def settings(self) -> Settings:
        """The settings that the variables make."""
        return load(self.variables)

    # What runs

    def start(self, *, workers: int = 1, scheduler: bool = True) -> None:
        """Start workers and a scheduler on threads, and wait until they are ready."""
        started = [self.start_worker(wait=False) for _ in range(workers)]
        started += [self.start_scheduler(wait=False)] if scheduler else []
        for member in started:
            _wait_until_ready(member)

    def start_worker(self, *, wait: bool = True) -> Member:
        """Start one more worker, in the next slot."""
        member = Member(partial(tracker.pipeline.run, self.settings, len(self.workers)))
        self.workers.append(member)
        if wait:
            _wait_until_ready(member)
        return member

    def start_scheduler(self, *, wait: bool = True) -> Member:
        """Start one more scheduler."""
        member = Member(partial(tracker.scheduler.run, self.settings))
        self.schedulers.append(member)
        if wait:
            _wait_until_ready(member)
        return member

    @contextmanager
    def running(self, *, workers: int = 1, scheduler: bool = True) -> Iterator[None]:
        """Run for as long as the block lasts."""
        self.start(workers=workers, scheduler=scheduler)
        yield
        self.stop()

    def stop(self) -> None:
        """Stop all that runs; each must end well."""
        members, self.workers, self.schedulers = self.workers + self.schedulers, [], []
        for member in members:
            member.lifeline.stopping.set()
        assert [member.wait() for member in members] == [0] * len(members)

    def close(self) -> None:
        """Stop what still runs, however it ends, and disconnect."""
        for member in self.workers + self.schedulers:
            member.lifeline.stopping.set()
        for member in self.workers + self.schedulers:
            member._thread.join(DEADLINE_S)
        self.workers.clear()
        self.schedulers.clear()
        self.kafka.close()
        self.client.close()
        self.database.close()

    def count(self, metric: Any, **labels: str) -> float:
        """Return what all members have counted."""
        return sum(member.count(metric, **labels) for member in self.workers + self.schedulers)

    # Jobs, all in the partition ID acme

    def job(self, job_id: str, *prerequisites: str, **fields: Any) -> NewJob:
        """Return a job that can be submitted."""
        task = NewTask(
            task_classifier="DocumentWorker",
            task_api_version=1,
            task_data={"any": "object"},
            task_pipe=self.topics.work,
            target_pipe=self.topics.results,
        )
        made: dict[str, Any] = {"partition_id": ACME, "task": task, "prerequisite_job_ids": prerequisites}
        return NewJob(id=job_id, **(made | fields))

    def submit(self, job_id: str, *prerequisites: str, **fields: Any) -> None:
        """Create a job."""
        self.client.submit([self.job(job_id, *prerequisites, **fields)])

    def look(self, job_id: str) -> Job:
        """Return a job as users see it."""
        return self.client.get(f"{ACME}:{job_id}")

    def status(self, job_id: str) -> str:
        """Return a job's status."""
        return str(self.look(job_id).status)

    def statuses(self, *job_ids: str) -> list[str]:
        """Return the status of each."""
        return [self.status(job_id) for job_id in job_ids]

    def percentage(self, job_id: str) -> float:
        """Return a job's percentage."""
        return self.look(job_id).percentage_complete

    def failures(self, job_id: str) -> list[dict[str, Any]]:
        """Return a job's failures as they are shown."""
        return [msgspec.to_builtins(each) for each in self.client.failures(f"{ACME}:{job_id}")]

    # Records

    def message(self, job_task_id: str | None, *, headers: Headers = (), **fields: Any) -> Record:
        """Make a message that completes its task, unless its fields say otherwise."""
        fields = {"to": self.topics.results, "track_to": self.topics.results} | fields
        key = key_of(job_task_id) if job_task_id else None
        return record_of(task_message(job_task_id, **fields), key=key, headers=headers)

    def more_work(self, job_task_id: str, **fields: Any) -> Record:
        """Make a message whose tracking continues: its task is in progress."""
        return self.message(job_task_id, **({"to": self.topics.work} | fields))

    def event(self, *reports: dict[str, Any], **fields: Any) -> Record:
        """Make an event of reports."""
        fields = {"to": self.topics.tracking} | fields
        key = key_of(reports[0]["jobTaskId"]) if reports else None
        return record_of(tracking_report(*reports, **fields), key=key)

    def progress(self, job_task_id: str, percentage: float) -> Record:
        """Make an event that reports progress on one task."""
        value = progress_event(job_task_id, percentage, to=self.topics.tracking)
        return record_of(value, key=key_of(job_task_id))

    def send(self, *records: Record, kafka_partition: int = -1) -> None:
        """Lay records ready for the tracker."""
        self.kafka.send(records, self.topics.tracking, kafka_partition)

    def process(self, *records: Record) -> None:
        """Have the tracker process records, and wait until it has."""
        self.send(*records)
        self.wait_until_processed()

    # What came of it

    def wait_until_processed(self, timeout_s: float = DEADLINE_S) -> None:
        """Wait until the group has committed every record of the tracking topics, and has counted it."""
        topics = self.variables["TRACKER_TOPICS"].split(",")

        def through() -> bool:
            for member in self.workers:
                member.require_alive()
            committed = self.kafka.committed(self.group_id, *topics)
            done = all(max(committed[key], 0) >= end for key, end in self.kafka.ends(*topics).items())
            return done and not any(member.has_work for member in self.workers)

        wait_until(through, "all records processed", timeout_s)

    def wait_until_sent(self, timeout_s: float = DEADLINE_S) -> None:
        """Wait until all that is to be sent by now has been, and the tracker knows it and has counted it.

        Where no scheduler runs, that is what workers send.
        """
        due = "due_sends" if self.schedulers or self.programs else "SELECT count(*) FROM outbox"

        def sent() -> bool:
            members = self.schedulers or self.workers
            return self.rows(due) == [(0,)] and not any(member.has_work for member in members)

        wait_until(sent, "all sent", timeout_s)

    def work(self) -> list[Received]:
        """Return what came to the workers' topic."""
        return self.kafka.read(self.topics.work)

    def results(self) -> list[Received]:
        """Return what came to the topic where tracking ends."""
        return self.kafka.read(self.topics.results)

    def dead_letters(self) -> list[Received]:
        """Return the dead letters."""
        return self.kafka.read(self.topics.dead_letters)

    def started(self) -> list[str]:
        """Return which jobs came to the workers' topic as new ones, in order of the topic."""
        return [each.task for each in self.work() if "." not in each.task]

    def rows(self, name: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of one of `QUERIES`, or of a statement."""
        from tests.support.invariants import QUERIES

        statement: Any = QUERIES.get(name, name)
        return self.database.execute(statement, parameters).fetchall()


def sorted_values(records: Sequence[Received]) -> list[bytes]:
    """Return what was received, in an order that does not depend on Kafka partitions."""
    return sorted(record.value or b"" for record in records)


def _wait_until_ready(member: Member) -> None:
    wait_until(lambda: member.ready, "a member ready")
