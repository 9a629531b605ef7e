"""Sends the messages of a round's jobs, and pauses, cancels and deletes those that are to be."""

import random
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from confluent_kafka import Producer

from tests.acceptance.deployment import Topics
from tests.faults.operator import Operator
from tests.faults.reader import Place, Watcher
from tests.faults.topics import readdress
from tests.faults.workload import BAD_KINDS, DOOMED, PRESENT_RUN, Job, Workload
from tests.model.reading import Record

NUMBER = "storm-number"
"""The header by which a record is known again, wherever it turns up."""

_AHEAD = 2_000  # records that are sent and not processed yet, at most
_LIVE = 24  # jobs that are being told of; more are submitted when there are fewer


class Step(NamedTuple):
    """What was done to a job, and the number of the first record that was sent after it."""

    before: int
    verb: str
    job: Job


@dataclass
class _Telling:
    """How far a run of a job has been told of."""

    job: Job
    meddle_at: int
    marker: str  # of the run
    told: int = 0
    undelivered: int = 0
    highest: Counter[int] = field(default_factory=Counter)
    ready_turn: int | None = None  # of the watcher: a look after it shows what the tail waits for

    @property
    def name(self) -> str:
        """The job's name, and which of its runs, if it is not the last one."""
        return self.job.name + " (deleted, to be submitted again)" * (self.job.successor is not None)

    @property
    def at_tail(self) -> bool:
        return self.told >= len(self.job.body)

    @property
    def at_late(self) -> bool:
        return self.told >= len(self.job.body) + len(self.job.tail)

    @property
    def is_over(self) -> bool:
        return self.told >= len(self.job.body) + len(self.job.tail) + len(self.job.late)

    def next(self) -> Record:
        self.told += 1
        return [*self.job.body, *self.job.tail, *self.job.late][self.told - 1]


def run_of(message: Any) -> str:
    """Return the marker of the run that a message starts."""
    return str(message["tracking"]["statusCheckUrl"]).rpartition("=")[2]


class StandsStill(Exception):
    """The player was told to give up. `jobs`: those that it was not through with, by what they wait for."""

    def __init__(self, jobs: dict[str, list[str]]) -> None:
        super().__init__(str(jobs))
        self.jobs = jobs


class Player:
    """Plays the jobs of a workload: submits them, and tells of each that has started.

    `steps` are what was done to jobs, and between which records; `sent` counts the records. The reader of
    jobs' starts calls `started`. `on_problem` hears what goes wrong in the test itself.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Topics,
        suffix: str,
        workload: Workload,
        operator: Operator,
        watcher: Watcher,
        on_problem: Callable[[str], None],
    ) -> None:
        self.workload, self.operator, self.watcher = workload, operator, watcher
        self.topics, self.suffix = topics, suffix
        self.enough = threading.Event()  # set: no more jobs are begun
        self.steps: list[Step] = []
        self.jobs: dict[str, Job] = {}
        self.told_of: list[str] = []  # the jobs that are being told of
        self.sent = 0
        self._to_resume: dict[str, Job] = {}  # their pause was asked for
        self._on_problem = on_problem
        self._random = random.Random(workload.seed)
        self._undelivered = 0
        self.unprocessed = 0  # records, when last counted
        self._delivered: dict[Place, deque[int]] = defaultdict(deque)  # offsets not processed yet
        self._started: SimpleQueue[str] = SimpleQueue()
        self.markers: dict[str, list[str]] = defaultdict(list)  # of the runs of each job that has started
        self._waiting: set[str] = set()  # submitted, to be started
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "log_level": 0,
                "linger.ms": 5,
                "message.max.bytes": 2_000_000,
                "reconnect.backoff.max.ms": 500,
            }
        )

    def play(self, messages: int, over: threading.Event) -> None:
        """Play until so many messages were sent and all begun jobs are over.

        :raises StandsStill: `over` was set before.
        """
        waves: Iterator[list[Job]] | None = self.workload.waves(messages)
        telling: dict[str, _Telling] = {}
        early: list[Job] = []  # paused before they could start
        while waves is not None or self._waiting or telling:
            if over.is_set():
                stuck = {"never started": sorted(self._waiting), "never told to the end": sorted(telling)}
                raise StandsStill(stuck)
            if waves is not None and self.enough.is_set():
                waves = None
                self._resume(early)
            if waves is not None and len(telling) < _LIVE and len(self._waiting) < 2 * _LIVE:
                wave = next(waves, [])
                self._resume(early)
                waves = waves if wave else None
                self._submit(wave, early)
            self._take_started(telling)
            self.told_of = [each.job.name for each in telling.values()]
            if not self._tell_some(telling):
                self._producer.poll(0.02)

    def _submit(self, wave: list[Job], early: list[Job]) -> None:
        for job in wave:
            self.jobs[job.name] = job
            self.steps.append(Step(self.sent, "create", job))
        self.operator.submit(wave, self.topics.work, self.topics.results)
        for job in wave:
            if job.runs:
                self._waiting.add(job.name)
            if job.fate == "cancelled-early":
                self.operator.ask("cancel", job, partial(self._did, "cancel", job))
            elif job.fate == "paused-early":
                self._ask_to_pause(job)
                early.append(job)

    def _ask_to_pause(self, job: Job) -> None:
        self._to_resume[job.name] = job
        self.operator.ask("pause", job, lambda: None)

    def _resume(self, early: list[Job]) -> None:
        for job in early:
            self.operator.ask("resume", job, partial(self._did, "resume", job))
        early.clear()

    def _did(self, verb: str, job: Job, telling: _Telling | None = None) -> None:
        self.steps.append(Step(self.sent, verb, job))
        if job.successor is not None:
            self.steps.append(Step(self.sent, "create", job.successor))
            self.operator.submit([job.successor], self.topics.work, self.topics.results)
        if telling is not None:
            telling.ready_turn = self.watcher.turn + 2

    def _take_started(self, telling: dict[str, _Telling]) -> None:
        while True:
            try:
                name = self._started.get_nowait()
            except Empty:
                return
            if name in self._waiting:
                self._waiting.remove(name)
                job = self.jobs[name]
                chance = random.Random(f"{self.workload.seed}/{name}")  # of its own: jobs start in any order
                each = _Telling(job, chance.randint(0, len(job.body)), self.markers[name][-1])
                telling[each.name] = each

    def _unprocessed(self) -> int:
        """Count the records that were sent and that the group is not through with; others write there too."""
        for place, offsets in self._delivered.items():
            committed = self.watcher.committed.get(place, 0)
            while offsets and offsets[0] < committed:
                offsets.popleft()
        self.unprocessed = self._undelivered + sum(map(len, self._delivered.values()))
        return self.unprocessed

    def _tell_some(self, telling: dict[str, _Telling]) -> bool:
        room = _AHEAD - self._unprocessed()
        ready = [each for each in telling.values() if self._may_go_on(each)]
        for over in [each for each in ready if each.is_over]:
            ready.remove(over)
            del telling[over.name]
        for _ in range(min(room, 100)):
            if not ready:
                return False
            each = self._random.choice(ready)
            self._tell(each)
            if each.at_tail:  # what comes now may have to wait
                ready.remove(each)
            if self._random.random() < 0.01:
                self._send(self.workload.noise(), None)
        return room > 0 and bool(ready)

    def _tell(self, each: _Telling) -> None:
        if each.told == each.meddle_at and not each.at_tail:
            self._meddle(each)
        self._send(each.next(), each)
        if each.at_tail and each.meddle_at < 0:
            self._resume_told(each)

    def _resume_told(self, each: _Telling) -> None:
        if each.job.fate == "paused" and each.ready_turn is None:
            self.operator.ask("resume", each.job, partial(self._did, "resume", each.job, each))

    def _meddle(self, each: _Telling) -> None:
        """Begin what is to be done to the job while it is told of."""
        each.meddle_at = -1
        if each.job.fate == "paused":
            self._ask_to_pause(each.job)
            if each.at_tail:
                self._resume_told(each)
        elif each.job.fate in {"cancelled", "deleted"}:
            verb = "cancel" if each.job.fate == "cancelled" else "delete"
            if each.job.successor is not None:
                self.jobs[each.job.name] = each.job.successor
                self._waiting.add(each.job.name)
            self.operator.ask(verb, each.job, partial(self._did, verb, each.job, each))

    def _may_go_on(self, each: _Telling) -> bool:
        """Tell whether the next record may be sent; see the head of `workload`."""
        if not each.at_tail:
            return True
        if each.told == each.meddle_at:
            self._meddle(each)
        fate = each.job.fate
        if fate in {"paused", *DOOMED} and (each.ready_turn is None or self.watcher.turn < each.ready_turn):
            return False
        if each.job.waits_to_end or (each.at_late and not each.is_over):
            return self._is_settled(each)
        return True

    def _is_settled(self, each: _Telling) -> bool:
        if each.undelivered:
            return False
        if each.ready_turn is None:
            each.ready_turn = self.watcher.turn + 2
        topic = self.topics.tracking
        return (
            self.watcher.turn >= each.ready_turn
            and all(self.watcher.committed.get((topic, n), 0) > at for n, at in each.highest.items())
            and each.job.key not in self.watcher.held
            and self._is_resumed(each.job)
        )

    def _is_resumed(self, job: Job) -> bool:
        return not job.fate.startswith("paused") or any(
            step.verb == "resume" and step.job is job for step in self.steps
        )

    def _send(self, record: Record, each: _Telling | None, kafka_partition: int = -1) -> None:
        headers: list[tuple[str, str | bytes | None]] = [*record.headers, (NUMBER, str(self.sent).encode())]
        self.sent += 1
        self._undelivered += 1
        callback = self._on_delivery
        if each is not None:
            each.undelivered += 1
            callback = partial(self._on_delivery, telling=each)
        value = readdress(record.value, self.suffix)
        if value is not None and each is not None:
            value = value.replace(PRESENT_RUN, PRESENT_RUN.replace(b"PRESENT", each.marker.encode()))
        while True:
            try:
                self._producer.produce(
                    self.topics.tracking,
                    value,
                    record.key,
                    kafka_partition,
                    headers=headers,
                    on_delivery=callback,
                )
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def _on_delivery(self, error: Any, message: Any, telling: _Telling | None = None) -> None:
        self._undelivered -= 1
        if error is not None:
            self._on_problem(f"the test itself could not send a record: {error}")
            return
        self._delivered[message.topic(), message.partition()].append(message.offset())
        if telling is not None:
            telling.undelivered -= 1
            number = message.partition()
            telling.highest[number] = max(telling.highest[number], message.offset())

    def started(self, name: str, message: Any) -> None:
        """Hear that a job has started, by which message."""
        marker = run_of(message)
        if name in self.jobs and marker not in self.markers[name]:
            self.markers[name].append(marker)
            self._started.put(name)

    def send_bad_records(self) -> None:
        """Send bad records of all sizes to each Kafka partition."""
        for _, number in self.watcher.places:
            for kind in BAD_KINDS:
                self._send(self.workload.bad(kind), None, number)

    def flush(self, timeout_s: float) -> None:
        """Wait until all that was sent is there."""
        assert self._producer.flush(timeout_s) == 0

    def settle(self) -> None:
        """Resume the jobs that were to be, and let users' calls end."""
        self.operator.wait()
        resumed = {step.job.name for step in self.steps if step.verb == "resume"}
        for name, job in self._to_resume.items():
            if name not in resumed:
                self.operator.ask("resume", job, partial(self._did, "resume", job))
        self.operator.wait()
