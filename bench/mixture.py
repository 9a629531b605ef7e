"""A mixed load that goes on for as long as one likes: jobs of all kinds come, are worked on, and end.

Jobs come in waves. A wave has plain jobs, each of whose tasks is first in progress and then completes; jobs
whose tasks are reported by events; jobs whose last task fails; and jobs that wait for one of the plain ones,
and are completed once their release is seen. What is kept in memory is what is on its way.
"""

import base64
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from confluent_kafka import Message

from bench.drain import STALL_TIMEOUT_S
from bench.errors import BenchError, WrongResult
from bench.flow import Sender
from bench.workload import (
    NUMBER_PLACE,
    PARTITION_ID,
    Envelope,
    Load,
    Topics,
    ended,
    envelope_fields,
    indexed,
    number_of,
    start_task,
)
from tracker import Client, NewJob

PLAIN, REPORTED, FAILING, DEPENDENT = 8, 4, 2, 8  # jobs of each kind in a wave
TASKS, EVENT_REPORTS = 500, 100
AHEAD = 6  # waves that are submitted before they are needed
NO_NUMBER = 10**12 - 1  # of messages that are not forwarded


class OnItsWay(NamedTuple):
    """A message that was sent and has not arrived yet."""

    due: float
    key: bytes
    value: bytes  # as it has to arrive
    wave: "Wave"


class Planned(NamedTuple):
    """A message that is to be sent: how to make it from its number, and whether it is forwarded."""

    job: int
    make: Callable[[int], bytes]
    forwarded: bytes | None  # "ended": without tracking, "kept": as it is; None: nowhere


class Kinds:
    """Makes the messages of all waves."""

    def __init__(self, topics: Topics, seed: int) -> None:
        self.topics = topics
        self.done = Envelope(topics, seed)
        self.going_on = Envelope(topics, seed, completes=False)
        self.failed = Envelope(topics, seed, failed=True)
        text = json.dumps(envelope_fields("#DATA#", topics.tracking, None), separators=(",", ":"))
        text = text.replace('"DocumentWorker"', '"TrackingReportTask"')
        self._event = text.replace(NUMBER_PLACE, f"{NO_NUMBER:012d}", 1).replace("#DATA#", "%b", 1).encode()

    def event(self, job_id: str, first: int) -> bytes:
        """Return an event that reports tasks of a job complete, from the first on."""
        reports = [
            {
                "jobTaskId": f"{PARTITION_ID}:{job_id}.{indexed(task, TASKS).decode()}",
                "status": "Complete",
            }
            for task in range(first, first + EVENT_REPORTS)
        ]
        return self._event % base64.b64encode(json.dumps({"trackingReports": reports}).encode())


class Wave:
    """Jobs that are submitted together. `left`: messages that have not arrived, those to come among them."""

    def __init__(self, number: int, kinds: Kinds) -> None:
        self.prefix = f"w{number:07d}-"
        self._kinds = kinds
        count = PLAIN + REPORTED + FAILING + DEPENDENT
        self.job_ids = [f"{self.prefix}{job:02d}" for job in range(count)]
        self.keys = [f"{PARTITION_ID}:{job_id}".encode() for job_id in self.job_ids]
        self.first_dependent = count - DEPENDENT
        self.unstarted = set(self.keys[: self.first_dependent])
        self.unreleased = set(self.keys[self.first_dependent :])
        self.left = PLAIN * TASKS * 2 + FAILING * TASKS + DEPENDENT
        self.since = 0.0  # when all was sent

    def jobs(self) -> list[NewJob]:
        """Return the jobs to submit."""
        # Tracking of tasks in progress ends later; a message decides by its own `trackTo`.
        task = start_task(self._kinds.topics, self._kinds.topics.destination)
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

    def messages(self) -> Iterator[Planned]:
        """Return the messages on all jobs but those that wait, task by task."""
        for task in range(1, TASKS + 1):
            path = indexed(task, TASKS)
            for job in range(PLAIN):
                yield self._planned(self._kinds.going_on, job, path, b"kept")
                yield self._planned(self._kinds.done, job, path, b"ended")
            if task % EVENT_REPORTS == 1:
                for job in range(PLAIN, PLAIN + REPORTED):
                    event = self._kinds.event(self.job_ids[job], task)
                    yield Planned(job, lambda _, event=event: event, None)  # type: ignore[misc]
            envelope = self._kinds.failed if task == TASKS else self._kinds.done
            for job in range(PLAIN + REPORTED, self.first_dependent):
                yield self._planned(envelope, job, path, b"ended")

    def completing(self, key: bytes) -> Planned:
        """Return the message that completes a job which was waiting, and is released."""
        return self._planned(self._kinds.done, self.keys.index(key), b"1*", b"ended")

    def _planned(self, envelope: Envelope, job: int, path: bytes, forwarded: bytes) -> Planned:
        job_id = self.job_ids[job]
        return Planned(job, lambda number: envelope.message(number, job, job_id, path), forwarded)


class Mixture:
    """The waves that are under way, and all that is known of them.

    One thread sends (`send_next`), one reads what arrives (`on_arrived`), one what is started
    (`on_started`), one submits and verifies (`manage`).
    """

    def __init__(self, topics: Topics, database_url: str, seed: int) -> None:
        self.on_its_way: dict[int, OnItsWay] = {}
        self.latencies: list[float] = []  # since they were taken last
        self.sent = 0
        self.verified_waves = 0
        self.stopping = threading.Event()
        self._topics = topics
        self._database_url = database_url
        self._kinds = Kinds(topics, seed)
        self._numbers = 0
        self._waves = 0
        self._by_key: dict[bytes, Wave] = {}  # of all that have not been started
        self._submitted: list[Wave] = []
        self._ready: deque[Wave] = deque()
        self._released: deque[tuple[Wave, Planned]] = deque()
        self._finishing: list[Wave] = []
        self._current: tuple[Wave, Iterator[Planned]] | None = None
        self._failure: BaseException | None = None

    def check(self) -> None:
        """Raise what has gone wrong in the thread that submits and verifies."""
        if self._failure is not None:
            raise self._failure

    # The sender's

    def send_next(self, sender: Sender, due: float) -> bool:
        """Send the next message; False: there is none to be had now."""
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
        if planned.forwarded is not None:
            arriving = value if planned.forwarded == b"kept" else ended(value)
            self.on_its_way[self._numbers] = OnItsWay(due, key, arriving, wave)
        sender.send(Load(planned.job % self._topics.partitions, key, value))
        self.sent += 1
        return True

    def _next(self) -> tuple[Wave, Planned] | None:
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
            wave.since = time.monotonic()
            self._finishing.append(wave)

    @property
    def done(self) -> bool:
        """Whether nothing more is to be sent, and all that was sent has arrived and is verified."""
        idle = self._current is None and not self._released and not self._finishing
        return self.stopping.is_set() and idle and not self.on_its_way

    # The readers'

    def on_arrived(self, now: float, records: list[Message]) -> None:
        """Take note of messages at their destination; each must be one that is on its way."""
        for record in records:
            value = record.value() or b""
            arrived = self.on_its_way.pop(number_of(value), None)
            if arrived is None or (arrived.key, arrived.value) != (record.key(), value):
                raise WrongResult(f"a message has come twice, or is not as it must be: {value[:1_000]!r}")
            arrived.wave.left -= 1
            self.latencies.append(now - arrived.due)

    def on_started(self, _now: float, records: list[Message]) -> None:
        """Take note of jobs that the tracker has started; each must be one that was not."""
        for record in records:
            key = record.key() or b""
            wave = self._by_key.pop(key, None)
            if wave is None:
                raise WrongResult(f"job {key!r} was started twice, or is none")
            if key in wave.unreleased:
                wave.unreleased.discard(key)
                self._released.append((wave, wave.completing(key)))
            else:
                wave.unstarted.discard(key)

    # The manager's

    def manage(self) -> None:
        """Submit waves ahead of their time, and verify those that are through. For a thread of its own."""
        try:
            with Client(self._database_url) as client:
                while not self.done:
                    self._submit(client)
                    self._verify(client)
                    time.sleep(0.005)
        except BaseException as error:  # noqa: BLE001 - handed over, see `check`
            self._failure = error

    def _submit(self, client: Client) -> None:
        if not self.stopping.is_set() and len(self._submitted) + len(self._ready) < AHEAD:
            self._waves += 1
            wave = Wave(self._waves, self._kinds)
            self._by_key.update(dict.fromkeys(wave.keys, wave))
            client.submit(wave.jobs())
            self._submitted.append(wave)
        for wave in [wave for wave in self._submitted if not wave.unstarted]:
            self._submitted.remove(wave)
            self._ready.append(wave)

    def _verify(self, client: Client) -> None:
        right = {"Completed": PLAIN + REPORTED + DEPENDENT, "Failed": FAILING}
        for wave in [wave for wave in self._finishing if not wave.left and not wave.unreleased]:
            found = {status: client.count(prefix=wave.prefix, status=status) for status in right}
            if found == right:
                self._finishing.remove(wave)
                self.verified_waves += 1
            elif time.monotonic() - wave.since > STALL_TIMEOUT_S:
                raise WrongResult(f"of the jobs {wave.prefix}... there are {found}, where {right} are right")
        late = [wave for wave in self._finishing if time.monotonic() - wave.since > 2 * STALL_TIMEOUT_S]
        if late:
            raise BenchError(f"of the jobs {late[0].prefix}... {late[0].left} messages have not arrived")
