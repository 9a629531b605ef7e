"""A mixed load of any length: jobs of all kinds are submitted, worked on, and end.

Jobs come in waves. A wave has plain jobs, each of whose tasks is first in progress and then completes; jobs
whose tasks are reported by events; jobs whose last task fails; and dependents, each of which waits for a
plain job and is completed after its release has been seen. Only the messages in flight are kept in memory.
"""

import base64
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from confluent_kafka import Message

from bench.drain import STALL_TIMEOUT_S
from bench.errors import BenchError, WrongResult
from bench.flow import Sender
from bench.workload import (
    NUMBER_PLACEHOLDER,
    PARTITION_ID,
    ProducerRecord,
    TaskMessageFactory,
    Topics,
    indexed,
    number_of,
    start_task,
    task_message_fields,
    untracked,
)
from tracker import Client, NewJob

PLAIN, REPORTED, FAILING, DEPENDENT = 8, 4, 2, 8  # jobs of each kind in a wave
TASKS, EVENT_REPORTS = 500, 100
WAVES_AHEAD = 6  # submitted before their messages are sent
UNNUMBERED = 10**12 - 1  # the number of messages that are not forwarded


class InFlight(NamedTuple):
    """A message that was sent and has not arrived yet."""

    due: float
    key: bytes
    value: bytes  # as it must arrive
    wave: "Wave"


class PlannedMessage(NamedTuple):
    """A message to send: `make` returns its value for a number."""

    job: int
    make: Callable[[int], bytes]
    forwarded: Literal["untracked", "unchanged", "not"]


class WaveMessageFactory:
    """Makes the messages of all waves."""

    def __init__(self, topics: Topics, seed: int) -> None:
        self.topics = topics
        self.completed = TaskMessageFactory(topics, seed)
        self.in_progress = TaskMessageFactory(topics, seed, completes=False)
        self.failed = TaskMessageFactory(topics, seed, failed=True)
        text = json.dumps(task_message_fields("#DATA#", topics.tracking, None), separators=(",", ":"))
        text = text.replace('"DocumentWorker"', '"TrackingReportTask"')
        self._event = (
            text.replace(NUMBER_PLACEHOLDER, f"{UNNUMBERED:012d}", 1).replace("#DATA#", "%b", 1).encode()
        )

    def event(self, job_id: str, first: int) -> bytes:
        """Return an event that reports a group of a job's tasks complete, from task `first` on."""
        reports = [
            {
                "jobTaskId": f"{PARTITION_ID}:{job_id}.{indexed(task, TASKS).decode()}",
                "status": "Complete",
            }
            for task in range(first, first + EVENT_REPORTS)
        ]
        return self._event % base64.b64encode(json.dumps({"trackingReports": reports}).encode())


class Wave:
    """Jobs that are submitted together. `remaining` counts messages that have not arrived, sent or not."""

    def __init__(self, number: int, factory: WaveMessageFactory) -> None:
        self.prefix = f"w{number:07d}-"
        self._factory = factory
        count = PLAIN + REPORTED + FAILING + DEPENDENT
        self.job_ids = [f"{self.prefix}{job:02d}" for job in range(count)]
        self.keys = [f"{PARTITION_ID}:{job_id}".encode() for job_id in self.job_ids]
        self.first_dependent = count - DEPENDENT
        self.unstarted = set(self.keys[: self.first_dependent])
        self.unreleased = set(self.keys[self.first_dependent :])
        self.remaining = PLAIN * TASKS * 2 + FAILING * TASKS + DEPENDENT
        self.sent_at = 0.0  # when the last message was sent

    def jobs(self) -> list[NewJob]:
        """Return the jobs to submit."""
        # The messages on tasks in progress name another topic in `trackTo`, which is what counts.
        task = start_task(self._factory.topics, self._factory.topics.destination)
        return [
            NewJob(
                partition_id=PARTITION_ID,
                id=job_id,
                task=task,
                prerequisite_job_ids=(
                    (self.job_ids[job - self.first_dependent],) if job >= self.first_dependent else ()
                ),
            )
            for job, job_id in enumerate(self.job_ids)
        ]

    def messages(self) -> Iterator[PlannedMessage]:
        """Return the messages of all jobs except the dependents, task by task."""
        for task in range(1, TASKS + 1):
            path = indexed(task, TASKS)
            for job in range(PLAIN):
                yield self._plan(self._factory.in_progress, job, path, "unchanged")
                yield self._plan(self._factory.completed, job, path, "untracked")
            if task % EVENT_REPORTS == 1:
                for job in range(PLAIN, PLAIN + REPORTED):
                    event = self._factory.event(self.job_ids[job], task)
                    yield PlannedMessage(job, lambda _, event=event: event, "not")  # type: ignore[misc]
            factory = self._factory.failed if task == TASKS else self._factory.completed
            for job in range(PLAIN + REPORTED, self.first_dependent):
                yield self._plan(factory, job, path, "untracked")

    def completing(self, key: bytes) -> PlannedMessage:
        """Return the message that completes a dependent after its release."""
        return self._plan(self._factory.completed, self.keys.index(key), b"1*", "untracked")

    def _plan(
        self,
        factory: TaskMessageFactory,
        job: int,
        path: bytes,
        forwarded: Literal["untracked", "unchanged"],
    ) -> PlannedMessage:
        job_id = self.job_ids[job]
        return PlannedMessage(job, lambda number: factory.message(number, job, job_id, path), forwarded)


class Mixture:
    """The state of all waves that have not ended.

    Four threads share it: one sends messages (`send_next`), one reads those that arrive (`on_arrivals`), one
    reads the first messages of jobs (`on_starts`), and one submits and verifies jobs (`submit_and_verify`).
    """

    def __init__(self, topics: Topics, database_url: str, seed: int) -> None:
        self.in_flight: dict[int, InFlight] = {}
        self.latencies: list[float] = []  # since the last sample
        self.sent = 0
        self.verified_waves = 0
        self.stopping = threading.Event()
        self._topics = topics
        self._database_url = database_url
        self._factory = WaveMessageFactory(topics, seed)
        self._numbers = 0
        self._waves = 0
        self._by_key: dict[bytes, Wave] = {}  # of jobs that have not been started
        self._submitted: list[Wave] = []
        self._ready: deque[Wave] = deque()
        self._released: deque[tuple[Wave, PlannedMessage]] = deque()
        self._finishing: list[Wave] = []
        self._current: tuple[Wave, Iterator[PlannedMessage]] | None = None
        self._failure: BaseException | None = None

    def check(self) -> None:
        """Raise the error of the thread that submits and verifies, if there is one."""
        if self._failure is not None:
            raise self._failure

    # For the thread that sends.

    def send_next(self, sender: Sender, due: float) -> bool:
        """Send the next message; return False if there is none now."""
        if self._released:
            wave, planned = self._released.popleft()
        else:
            found = self._next()
            if found is None:
                return False
            wave, planned = found
        self._numbers += 1
        value = planned.make(self._numbers)
        key = wave.keys[planned.job]
        if planned.forwarded != "not":
            arriving = value if planned.forwarded == "unchanged" else untracked(value)
            self.in_flight[self._numbers] = InFlight(due, key, arriving, wave)
        sender.send(ProducerRecord(planned.job % self._topics.kafka_partitions, key, value))
        self.sent += 1
        return True

    def _next(self) -> tuple[Wave, PlannedMessage] | None:
        while True:
            if self._current is None:
                if self.stopping.is_set() or not self._ready:
                    return None
                wave = self._ready.popleft()
                self._current = wave, wave.messages()
            wave, messages = self._current
            planned = next(messages, None)
            if planned is not None:
                return wave, planned
            self._current = None
            wave.sent_at = time.monotonic()
            self._finishing.append(wave)

    @property
    def finished(self) -> bool:
        """Whether all messages have been sent, have arrived, and are verified."""
        idle = self._current is None and not self._released and not self._finishing
        return self.stopping.is_set() and idle and not self.in_flight

    # For the threads that read.

    def on_arrivals(self, now: float, records: list[Message]) -> None:
        """Record messages that have arrived at their destination; each must be in flight."""
        for record in records:
            value = record.value() or b""
            arrived = self.in_flight.pop(number_of(value), None)
            if arrived is None or (arrived.key, arrived.value) != (record.key(), value):
                raise WrongResult(f"a message has arrived twice, or is not as it must be: {value[:1_000]!r}")
            arrived.wave.remaining -= 1
            self.latencies.append(now - arrived.due)

    def on_starts(self, _now: float, records: list[Message]) -> None:
        """Record jobs that the tracker has started; none of them may have been started before."""
        for record in records:
            key = record.key() or b""
            wave = self._by_key.pop(key, None)
            if wave is None:
                raise WrongResult(f"job {key!r} was started twice, or is unknown")
            if key in wave.unreleased:
                wave.unreleased.discard(key)
                self._released.append((wave, wave.completing(key)))
            else:
                wave.unstarted.discard(key)

    # For the thread that submits and verifies.

    def submit_and_verify(self) -> None:
        """Submit waves before they are needed, and verify those whose messages have arrived."""
        try:
            with Client(self._database_url) as client:
                while not self.finished:
                    self._submit(client)
                    self._verify(client)
                    time.sleep(0.005)
        except BaseException as error:  # noqa: BLE001 - raised by `check`
            self._failure = error

    def _submit(self, client: Client) -> None:
        if not self.stopping.is_set() and len(self._submitted) + len(self._ready) < WAVES_AHEAD:
            self._waves += 1
            wave = Wave(self._waves, self._factory)
            self._by_key.update(dict.fromkeys(wave.keys, wave))
            client.submit(wave.jobs())
            self._submitted.append(wave)
        for wave in [wave for wave in self._submitted if not wave.unstarted]:
            self._submitted.remove(wave)
            self._ready.append(wave)

    def _verify(self, client: Client) -> None:
        expected = {"Completed": PLAIN + REPORTED + DEPENDENT, "Failed": FAILING}
        for wave in [wave for wave in self._finishing if not wave.remaining and not wave.unreleased]:
            found = {status: client.count(prefix=wave.prefix, status=status) for status in expected}
            if found == expected:
                self._finishing.remove(wave)
                self.verified_waves += 1
            elif time.monotonic() - wave.sent_at > STALL_TIMEOUT_S:
                raise WrongResult(f"the jobs {wave.prefix}... are {found}, not {expected}")
        late = [wave for wave in self._finishing if time.monotonic() - wave.sent_at > 2 * STALL_TIMEOUT_S]
        if late:
            raise BenchError(f"{late[0].remaining} messages of the jobs {late[0].prefix}... have not arrived")
