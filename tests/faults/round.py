"""One round: a deployment, the jobs of a seed, and workers that answer as they are told to."""

import random
import signal
import threading
import time
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from confluent_kafka import Producer

from tests.acceptance.deployment import Deployment
from tests.acceptance.kafka import Received, wait_until
from tests.faults.ghosts import GHOST, Ghosts
from tests.faults.members import Process
from tests.faults.operator import Operator
from tests.faults.reader import Place, Reader, Watcher
from tests.faults.site import Site
from tests.faults.topics import new_topics, readdress
from tests.faults.workload import DOOMED, Job, Workload
from tests.model.reading import Record
from tracker.lifeline import ExitStatus
from tracker.store.connect import connect

NUMBER = "storm-number"
"""The header by which a record is known again, wherever it turns up."""

SETTINGS = {
    "TRACKER_BATCH_SIZE": "200",
    "TRACKER_KAFKA_CONSUMER_SESSION_TIMEOUT_MS": "2000",
    "TRACKER_KAFKA_PRODUCER_TRANSACTION_TIMEOUT_MS": "3000",
    "TRACKER_KAFKA_RECONNECT_BACKOFF_MAX_MS": "500",
    "TRACKER_LOG_FORMAT": "json",
}

_AHEAD = 2_000  # records that are sent and not processed yet, at most
_LIVE = 24  # jobs that are being told of; more are submitted when there are fewer


class Wrong(AssertionError):
    """What was found to be wrong in a round: `problems` has a sentence for each, the text all one needs."""

    def __init__(self, report: str, problems: list[str]) -> None:
        super().__init__(report)
        self.problems = problems


class Step(NamedTuple):
    """What was done to a job, and the number of the first record that was sent after it."""

    before: int
    verb: str
    job: Job


@dataclass
class _Telling:
    """How far a job has been told of."""

    job: Job
    meddle_at: int
    told: int = 0
    undelivered: int = 0
    highest: Counter[int] = field(default_factory=Counter)
    ready_turn: int | None = None  # of the watcher: a look after it shows what the tail waits for

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


class Round:
    """Plays the jobs of a seed on a site, and keeps what the checker needs.

    `start` starts processes; `playing` plays while the block does what it likes to them; `drain` waits for
    the end of it. `problems` are what was seen to be wrong meanwhile.
    """

    def __init__(
        self,
        site: Site,
        folder: Path,
        seed: int,
        *,
        kafka_partitions: int = 3,
        propagate: bool = False,
        bug: str = "",
        tablespace: str = "pg_default",
        **variables: str,
    ) -> None:
        self.site, self.seed, self.propagate = site, seed, propagate
        self.problems: list[str] = []
        self.is_played = False
        self.enough = threading.Event()  # set: no more jobs are begun
        self.steps: list[Step] = []
        self.jobs: dict[str, Job] = {}
        self._to_resume: dict[str, Job] = {}  # their pause was asked for
        self.sent = 0
        self.processes: list[Process] = []
        self.notes: list[str] = []  # what befell it
        self._folder, self._bug = folder, bug
        self.suffix, self.topics = new_topics()
        self.deployment = self._deploy(kafka_partitions, tablespace, variables)
        self.workload = Workload(seed, propagate=propagate)
        self._random = random.Random(seed)
        self._undelivered = 0
        self._delivered: dict[Place, deque[int]] = defaultdict(deque)  # offsets not processed yet
        self._started: SimpleQueue[str] = SimpleQueue()
        self._seen: Counter[tuple[str, str]] = Counter()
        self._producer = Producer(
            {
                "bootstrap.servers": site.bootstrap_servers,
                "enable.idempotence": True,
                "log_level": 0,
                "linger.ms": 5,
                "reconnect.backoff.max.ms": 500,
            }
        )
        self._tracking = [(self.topics.tracking, number) for number in range(kafka_partitions)]
        others = self.topics.work, self.topics.results, self.topics.dead_letters
        self.reader = Reader(site.bootstrap_servers, [(topic, 0) for topic in others], self._on_read)
        group_id, url = self.deployment.group_id, self.deployment.database_url
        self._told_of: list[str] = []  # the jobs that are being told of
        self.ghosts = Ghosts(site.bootstrap_servers, self.topics, NUMBER, seed, lambda: self._told_of)
        self.watcher = Watcher(site.bootstrap_servers, group_id, self._tracking, url)
        self.operator = Operator(url, self.problems.append)

    def _deploy(self, kafka_partitions: int, tablespace: str, variables: dict[str, str]) -> Deployment:
        topics = self.topics
        deployment = Deployment(
            self.site.bootstrap_servers,
            self.site.new_database(tablespace),
            topics,
            **(SETTINGS | {"TRACKER_PROPAGATE_FAILURES": str(self.propagate).lower()} | variables),
        )
        kafka = deployment.kafka
        kafka.create(dict.fromkeys(topics, 1) | {topics.tracking: kafka_partitions})
        # The controller has made them; the brokers hear of it a moment later.
        wait_until(lambda: set(topics) <= set(kafka.admin.list_topics(timeout=10).topics), "topics known")
        return deployment

    def note(self, what: str) -> None:
        """Keep what befalls the round, for whoever has to find out what went wrong."""
        now = datetime.now(UTC)
        self.notes.append(f"{now:%H:%M:%S.%f} {what}; {self.sent} sent, {self.watcher.processed} processed")
        with (self._folder / "notes.log").open("a") as file:
            print(self.notes[-1], file=file)

    # Processes

    def start(self, what: str, *, fail: str = "", clock_offset_s: int = 0, **variables: str) -> Process:
        """Start a process of the tracker, which reaches its servers through the proxies."""
        through = self.site.variables(self.deployment.database_url)
        process = Process(
            what,
            self.deployment.variables | through | variables,
            self._folder / f"{what.replace(' ', '-')}-{uuid.uuid4().hex[:6]}.log",
            fail=fail,
            bug=self._bug,
            clock_offset_s=clock_offset_s,
        )
        self.processes.append(process)
        return process

    def wait_for_log(self, process: Process, event: str, **fields: object) -> None:
        """Wait until a process has logged an event."""

        def logged() -> bool:
            assert process.is_running, process.tail()
            return process.has_logged(event, **fields)

        wait_until(logged, f"{process.what}: {event} {fields}")

    def wait_until_all_assigned_to(self, process: Process) -> None:
        """Wait until a worker has all Kafka partitions."""
        self.wait_for_log(process, "Kafka partitions assigned", assigned=len(self._tracking))

    def terminate_backends(self, application_name: str) -> int:
        """End the database sessions of that name; return how many there were."""
        rows = self.deployment.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s",
            application_name,
        )
        return len(rows)

    def stop(self) -> None:
        """Stop the processes that run; each must end well, and none may have given up by itself."""
        for process in self.processes:
            if process.is_running:
                process.stop()
            else:
                status = process.wait_for_end()
                restarted = status == ExitStatus.FAILED and not process.has_logged("unexpected error")
                assert restarted or status in (0, -signal.SIGKILL), (
                    f"{process.what} gave up: {status}\n{process.tail()}"
                )

    def close(self) -> None:
        """End everything."""
        for process in self.processes:
            process.end()
        self.site.heal()
        self.ghosts.close()
        self.operator.close()
        self.watcher.close()
        self.reader.close()
        self.deployment.close()

    # Playing

    @contextmanager
    def playing(self, messages: int, timeout_s: float = 45.0) -> Iterator[None]:
        """Play while the block lasts, and until there is no more to play; then the site is healed."""
        over = threading.Event()
        errors: list[BaseException] = []
        player = threading.Thread(target=self._guarded, args=[messages, over, errors], name="player")
        player.start()
        try:
            yield
            self.site.heal()
            deadline = time.monotonic() + timeout_s
            while player.is_alive() and time.monotonic() < deadline and not self.problems:
                player.join(0.1)
        finally:
            over.set()
            player.join()
        if self.problems:
            raise self.wrong("while it happened", self.problems)
        for error in errors:
            raise error

    def _guarded(self, messages: int, over: threading.Event, errors: list[BaseException]) -> None:
        try:
            self._play(messages, over)
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits for it
            errors.append(error)
        finally:
            self.is_played = True

    def _play(self, messages: int, over: threading.Event) -> None:
        waves: Iterator[list[Job]] | None = self.workload.waves(messages)
        telling: dict[str, _Telling] = {}
        waiting: set[str] = set()  # submitted, to be started
        early: list[Job] = []  # paused before they could start
        while waves is not None or waiting or telling:
            if over.is_set():
                stuck = {"never started": sorted(waiting), "never told to the end": sorted(telling)}
                raise self.wrong(
                    "when nothing moved any more",
                    [f"{what}: {', '.join(names[:10])}" for what, names in stuck.items() if names],
                )
            if waves is not None and self.enough.is_set():
                waves = None
                self._resume(early)
            if waves is not None and len(telling) < _LIVE and len(waiting) < 2 * _LIVE:
                wave = next(waves, [])
                self._resume(early)
                waves = waves if wave else None
                self._submit(wave, waiting, early)
            self._take_started(telling, waiting)
            self._told_of = list(telling)
            if not self._tell_some(telling):
                self._producer.poll(0.02)

    def _submit(self, wave: list[Job], waiting: set[str], early: list[Job]) -> None:
        for job in wave:
            self.jobs[job.name] = job
            self.steps.append(Step(self.sent, "create", job))
        self.operator.submit(wave, self.topics.work, self.topics.results)
        for job in wave:
            if job.runs:
                waiting.add(job.name)
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
        if telling is not None:
            telling.ready_turn = self.watcher.turn + 2

    def _take_started(self, telling: dict[str, _Telling], waiting: set[str]) -> None:
        while True:
            try:
                name = self._started.get_nowait()
            except Empty:
                return
            if name in waiting:
                waiting.remove(name)
                job = self.jobs[name]
                chance = random.Random(f"{self.seed}/{name}")  # of its own: jobs start in any order
                telling[name] = _Telling(job, chance.randint(0, len(job.body)))

    def _unprocessed(self) -> int:
        """Count the records that were sent and that the group is not through with; others write there too."""
        for place, offsets in self._delivered.items():
            committed = self.watcher.committed.get(place, 0)
            while offsets and offsets[0] < committed:
                offsets.popleft()
        return self._undelivered + sum(map(len, self._delivered.values()))

    def _tell_some(self, telling: dict[str, _Telling]) -> bool:
        room = _AHEAD - self._unprocessed()
        ready = [each for each in telling.values() if self._may_go_on(each)]
        for over in [each for each in ready if each.is_over]:
            ready.remove(over)
            del telling[over.job.name]
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
            self.problems.append(f"the test itself could not send a record: {error}")
            return
        self._delivered[message.topic(), message.partition()].append(message.offset())
        if telling is not None:
            telling.undelivered -= 1
            number = message.partition()
            telling.highest[number] = max(telling.highest[number], message.offset())

    def _on_read(self, record: Received) -> None:
        number = record.header(NUMBER)
        if number is None:
            name = str(record.task)
            if name in self.jobs:
                self._started.put(name)
        elif int(number) >= GHOST:
            self.problems.append(f"a record was forwarded whose transaction was aborted: {record}")
        what = ("start", str(record.task)) if number is None else ("record", number)
        self._seen[what] += 1
        if self._seen[what] > 1:
            self.problems.append(f"{what[0]} {what[1]} was read twice: {record[:2]} at {record.offset}")

    # The end

    def drain(self, timeout_s: float = 60.0) -> float:
        """Wait until all is processed, sent and read; return how long that took."""
        began = time.monotonic()
        self.ghosts.close()
        for _, number in self._tracking:
            # The group's offset is behind the last record that it was given; aborted ones may follow that.
            self._send(self.workload.noise(), None, number)
        assert self._producer.flush(timeout_s) == 0
        self._connect_again()
        deployment = self.deployment
        deployment.wait_until_processed(timeout_s)
        deployment.wait_until_sent(timeout_s)
        ends: dict[tuple[str, int], int] = {}

        def decided() -> bool:
            nonlocal ends
            ends = deployment.kafka.ends(*self.topics)
            return ends == deployment.kafka.ends(*self.topics, committed=True)

        wait_until(decided, "no open transaction", timeout_s)
        wait_until(
            lambda: all(at >= ends[place] for place, at in self.reader.positions.items()),
            "all read",
            timeout_s,
        )
        return time.monotonic() - began

    def _connect_again(self) -> None:
        self.deployment.database.close()  # its server may have been away
        self.deployment.database = connect(self.deployment.database_url, autocommit=True)

    def settle(self) -> None:
        """Where a round was cut short: resume the jobs that were to be, and let users' calls end."""
        self.ghosts.close()
        self._connect_again()
        self.operator.wait()
        resumed = {step.job.name for step in self.steps if step.verb == "resume"}
        for name, job in self._to_resume.items():
            if name not in resumed:
                self.operator.ask("resume", job, partial(self._did, "resume", job))
        self.operator.wait()

    def wrong(self, when: str, problems: Iterable[str]) -> Wrong:
        """Make an error of what is wrong, with what befell the round, and the ends of the processes' logs."""
        found = list(problems)
        shown = "\n".join(found[:20])
        for each in self.processes:
            if each.what != "run" and each.is_running:
                each.tell_where_it_is()
        logs = "\n".join(f"--- {each.what} ({each.pid})\n{each.tail()}" for each in self.processes[-6:])
        befell = "\n".join(self.notes[-20:])
        return Wrong(
            f"seed {self.seed}, {len(found)} problems {when}:\n{shown}\n--- what befell it\n{befell}\n{logs}",
            found,
        )
