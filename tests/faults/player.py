"""Sends the messages of a round's jobs. Meanwhile, users pause, cancel, retry and delete some of them."""

import random
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from confluent_kafka import Producer

from tests.faults.client_thread import ClientThread
from tests.faults.reader import KafkaPartition, Watcher
from tests.faults.replayer import Replayer
from tests.faults.topics import late_topic, readdress
from tests.faults.workload import BAD_KINDS, CANCELLED_OR_DELETED, PRESENT_RUN, Job, Workload
from tests.support.deployment import Topics
from tests.support.records import Record

NUMBER = "chaos-number"
"""The header that identifies a record, wherever it arrives."""

_MAX_UNPROCESSED = 2_000  # records
_MIN_IN_PROGRESS = 24  # jobs; while there are fewer, more are submitted


class UserAction(NamedTuple):
    """What a user did to a job, and the number of the first record that was sent after it."""

    before: int
    verb: str
    job: Job
    cascade: bool = False


@dataclass
class _Run:
    """One run of a job, and how many of its records are sent."""

    job: Job
    act_at: int  # how many records are sent before the user acts; -1: the user has
    marker: str
    retry_at: int = -1  # how many records are sent before a user retries it; -1: nobody does
    letter: int = -1  # the number of the record that a user replays; -1: not yet sent, or nobody does
    user_is_asked: bool = False  # to replay it, or to pause it briefly
    sent: int = 0
    undelivered: int = 0
    highest: Counter[int] = field(default_factory=Counter)  # offset by Kafka partition
    ready_at_poll: int | None = None  # a poll of the watcher from this one on shows what the tail waits for

    @property
    def name(self) -> str:
        """The job's name, and a note if this is not its last run."""
        return self.job.name + " (an earlier run)" * (self.job.successor is not None)

    @property
    def at_tail(self) -> bool:
        return self.sent >= len(self.job.body)

    @property
    def at_late(self) -> bool:
        return self.sent >= len(self.job.body) + len(self.job.tail)

    @property
    def is_over(self) -> bool:
        return self.sent >= len(self.job.body) + len(self.job.tail) + len(self.job.late)

    def next(self) -> Record:
        self.sent += 1
        return [*self.job.body, *self.job.tail, *self.job.late][self.sent - 1]


def run_of(message: Any) -> str:
    """Return the marker of the run that a message starts."""
    return str(message["tracking"]["statusCheckUrl"]).rpartition("=")[2]


class Stalled(Exception):
    """The player had to stop before all jobs were over. `jobs`: the others, by what they wait for."""

    def __init__(self, jobs: dict[str, list[str]]) -> None:
        super().__init__(str(jobs))
        self.jobs = jobs


class Player:
    """Plays the jobs of a workload: submits them, and sends the records of each job that has started.

    `user_actions` are what users did to jobs, and between which records; `sent` counts the records. The
    reader of the round calls `started`. `on_problem` gets the errors of the test itself.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Topics,
        suffix: str,
        workload: Workload,
        client_thread: ClientThread,
        watcher: Watcher,
        on_problem: Callable[[str], None],
        replayer: Replayer,
    ) -> None:
        self.workload, self.client_thread, self.watcher = workload, client_thread, watcher
        self.replayer = replayer
        self.topics, self.suffix = topics, suffix
        self.stop_submitting = threading.Event()  # set: the jobs in progress are the last ones
        self.user_actions: list[UserAction] = []
        self.jobs: dict[str, Job] = {}
        self.jobs_in_progress: list[str] = []  # their names
        self.sent = 0
        self._to_resume: dict[str, Job] = {}  # those that a user was asked to pause
        self._on_problem = on_problem
        self._random = random.Random(workload.seed)
        self._undelivered = 0
        self.unprocessed = 0  # records, at the last count
        self._delivered: dict[KafkaPartition, deque[int]] = defaultdict(deque)  # offsets not processed yet
        self._started: SimpleQueue[str] = SimpleQueue()
        self.markers: dict[str, list[str]] = defaultdict(list)  # of the runs of each job that has started
        self._waiting: set[str] = set()  # submitted or to be retried, and will start
        self._retrying: set[str] = set()  # the user's call has not returned
        self._unsettled: set[str] = set()  # users may still do what they do before a job of the call starts
        self._pausing: set[str] = set()  # users have begun to pause them briefly
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

    def play(self, messages: int, stop: threading.Event) -> None:
        """Play until this many messages are sent and all jobs that were submitted are over.

        :raises Stalled: `stop` was set before.
        """
        waves: Iterator[list[Job]] | None = self.workload.waves(messages)
        runs: dict[str, _Run] = {}
        paused_early: list[Job] = []  # before they could start
        while waves is not None or self._waiting or runs:
            if stop.is_set():
                raise Stalled({"never started": sorted(self._waiting), "not finished": sorted(runs)})
            if waves is not None and self.stop_submitting.is_set():
                waves = None
                self._resume(paused_early)
            few_in_progress = len(runs) < _MIN_IN_PROGRESS and len(self._waiting) < 2 * _MIN_IN_PROGRESS
            if waves is not None and few_in_progress:
                wave = next(waves, [])
                self._resume(paused_early)
                waves = waves if wave else None
                self._submit(wave, paused_early)
            self._take_started(runs)
            self.jobs_in_progress = [run.job.name for run in runs.values()]
            if not self._send_some(runs):
                self._producer.poll(0.02)

    def _submit(self, wave: list[Job], paused_early: list[Job]) -> None:
        for job in wave:
            self.jobs[job.name] = job
            self.user_actions.append(UserAction(self.sent, "create", job))
        self.client_thread.submit(wave, self.topics.work, self.topics.results)
        names = {job.name for job in wave}
        self._unsettled |= names
        for job in wave:
            if job.runs:
                self._waiting.add(job.name)
            if job.fate == "cancelled-early":
                self.client_thread.ask("cancel", job, partial(self._did, "cancel", job))
            elif job.fate == "paused-early":
                self._ask_to_pause(job)
                paused_early.append(job)
        self.client_thread.call_next(partial(self._unsettled.difference_update, names))

    def _ask_to_pause(self, job: Job) -> None:
        self._to_resume[job.name] = job
        self.client_thread.ask("pause", job, lambda: None)

    def _resume(self, paused_early: list[Job]) -> None:
        for job in paused_early:
            self.client_thread.ask("resume", job, partial(self._did, "resume", job))
        paused_early.clear()

    def _did(self, verb: str, job: Job, run: _Run | None = None, *, cascade: bool = False) -> None:
        self.user_actions.append(UserAction(self.sent, verb, job, cascade))
        if verb == "retry":
            self._retrying.remove(job.name)  # after it is noted: the next run's records come after it
        if job.successor is not None:
            self.user_actions.append(UserAction(self.sent, "create", job.successor))
            self.client_thread.submit([job.successor], self.topics.work, self.topics.results)
        if run is not None:
            run.ready_at_poll = self.watcher.polls + 2

    def _take_started(self, runs: dict[str, _Run]) -> None:
        while True:
            try:
                name = self._started.get_nowait()
            except Empty:
                return
            if name in self._waiting:
                self._waiting.remove(name)
                job = self.jobs[name]
                chance = random.Random(f"{self.workload.seed}/{name}")  # its own: jobs start in any order
                run = _Run(job, chance.randint(0, len(job.body)), self.markers[name][-1])
                if job.fate == "failed":
                    late = len(job.body) + len(job.tail)
                    run.retry_at = chance.randrange(late, late + len(job.late))
                runs[run.name] = run

    def _count_unprocessed(self) -> int:
        """Count our records that the group has not processed. Others write to the topic too."""
        for kafka_partition, offsets in self._delivered.items():
            committed = self.watcher.committed.get(kafka_partition, 0)
            while offsets and offsets[0] < committed:
                offsets.popleft()
        self.unprocessed = self._undelivered + sum(map(len, self._delivered.values()))
        return self.unprocessed

    def _send_some(self, runs: dict[str, _Run]) -> bool:
        room = _MAX_UNPROCESSED - self._count_unprocessed()
        ready = [run for run in runs.values() if self._may_send_next(run)]
        for over in [run for run in ready if run.is_over]:
            ready.remove(over)
            del runs[over.name]
        for _ in range(min(room, 100)):
            if not ready:
                return False
            run = self._random.choice(ready)
            self._send_next(run)
            if run.at_tail:  # its next record may have to wait
                ready.remove(run)
            if self._random.random() < 0.01:
                self._send(self.workload.noise(), None)
        return room > 0 and bool(ready)

    def _send_next(self, run: _Run) -> None:
        if run.sent == run.act_at and not run.at_tail:
            self._act(run)
        if run.sent == run.retry_at:
            self._retry(run.job)
        if run.at_tail and run.job.fate == "replayed":
            run.letter = self.sent
        self._send(run.next(), run)
        if run.at_tail and run.act_at < 0:
            self._resume_after_body(run)

    def _resume_after_body(self, run: _Run) -> None:
        if run.job.fate == "paused" and run.ready_at_poll is None:
            self.client_thread.ask("resume", run.job, partial(self._did, "resume", run.job, run))

    def _act(self, run: _Run) -> None:
        """Ask a user to do to the job what its fate says."""
        run.act_at = -1
        if run.job.fate == "paused":
            self._ask_to_pause(run.job)
            if run.at_tail:
                self._resume_after_body(run)
        elif run.job.fate == "cancelled-cascade":
            if run.job.in_bulk:  # the cascade finds it cancelled, and does the rest
                self.client_thread.ask("cancel", run.job, lambda: None)
            did = partial(self._did, "cancel", run.job, run, cascade=True)
            self.client_thread.ask("cancel", run.job, did, cascade=True)
        elif run.job.fate in {"cancelled", "deleted"}:
            verb = "cancel" if run.job.fate == "cancelled" else "delete"
            if run.job.successor is not None:
                self.jobs[run.job.name] = run.job.successor
                self._waiting.add(run.job.name)
            self.client_thread.ask(verb, run.job, partial(self._did, verb, run.job, run))

    def _retry(self, failed: Job) -> None:
        """Ask a user to retry a job that has failed: all but its late messages are processed."""
        job = failed.successor
        assert job is not None
        self.jobs[job.name] = job
        self._waiting.add(job.name)
        self._retrying.add(job.name)
        cascade = bool(job.retried_root)
        did = partial(self._did, "retry", job, cascade=cascade)
        self.client_thread.ask("retry", job, did, cascade=cascade)

    def _may_send_next(self, run: _Run) -> bool:
        """Return whether the next record of the run may be sent; see the head of `workload`."""
        if run.job.name in self._unsettled or (run.job.name in self._retrying and run.job.successor is None):
            return False
        if not run.at_tail:
            return True
        if run.letter >= 0:
            return self._is_replayed(run)
        if run.sent == run.act_at:
            self._act(run)
        waits_for_user = run.job.fate in {"paused", *CANCELLED_OR_DELETED}
        if waits_for_user and (run.ready_at_poll is None or self.watcher.polls < run.ready_at_poll):
            return False
        if run.job.tail_waits or (run.at_late and not run.is_over):
            return self._is_processed(run) and self._may_end(run)
        return True

    def _may_end(self, run: _Run) -> bool:
        """Return whether the tail may be sent: if the job is to be paused meanwhile, once the user begins."""
        if run.job.fate != "briefly-paused" or run.sent != len(run.job.body) or run.is_over:
            return True
        if not run.user_is_asked:
            run.user_is_asked = True
            self.client_thread.call_next(partial(self._pausing.add, run.job.name))
            self.client_thread.ask("pause", run.job, lambda: None)
            self.client_thread.ask("resume", run.job, partial(self._did, "resume", run.job))
        return run.job.name in self._pausing

    def _is_replayed(self, run: _Run) -> bool:
        """Return whether the dead letter has arrived. Ask a user to replay it once it is there."""
        if not run.user_is_asked and self._is_processed(run):
            run.user_is_asked = True
            # Noted before it is done: what it completes may start other jobs before the call returns.
            self.user_actions.append(UserAction(self.sent, "replay", run.job))
            self.replayer.ask(late_topic(run.job.key[1]) + self.suffix, run.job.key, run.letter)
        return run.user_is_asked and self.replayer.arrived(run.letter)

    def _is_processed(self, run: _Run) -> bool:
        if run.undelivered:
            return False
        if run.ready_at_poll is None:
            run.ready_at_poll = self.watcher.polls + 2
        topic = self.topics.tracking
        return (
            self.watcher.polls >= run.ready_at_poll
            and all(self.watcher.committed.get((topic, n), 0) > at for n, at in run.highest.items())
            and run.job.key not in self.watcher.held
            and self._is_resumed(run.job)
        )

    def _is_resumed(self, job: Job) -> bool:
        return not job.fate.startswith("paused") or any(
            action.verb == "resume" and action.job is job for action in self.user_actions
        )

    def _send(self, record: Record, run: _Run | None, kafka_partition: int = -1) -> None:
        headers: list[tuple[str, str | bytes | None]] = [*record.headers, (NUMBER, str(self.sent).encode())]
        self.sent += 1
        self._undelivered += 1
        callback = self._on_delivery
        if run is not None:
            run.undelivered += 1
            callback = partial(self._on_delivery, run=run)
        value = readdress(record.value, self.suffix)
        if value is not None and run is not None:
            value = value.replace(PRESENT_RUN, PRESENT_RUN.replace(b"PRESENT", run.marker.encode()))
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

    def _on_delivery(self, error: Any, message: Any, run: _Run | None = None) -> None:
        self._undelivered -= 1
        if error is not None:
            self._on_problem(f"the test itself could not send a record: {error}")
            return
        self._delivered[message.topic(), message.partition()].append(message.offset())
        if run is not None:
            run.undelivered -= 1
            number = message.partition()
            run.highest[number] = max(run.highest[number], message.offset())

    def started(self, name: str, message: Any) -> None:
        """Note that a job has started, and with which message."""
        marker = run_of(message)
        if name in self.jobs and marker not in self.markers[name]:
            self.markers[name].append(marker)
            self._started.put(name)

    def send_bad_records(self) -> None:
        """Send bad records of all sizes to each Kafka partition."""
        for _, number in self.watcher.kafka_partitions:
            for kind in BAD_KINDS:
                self._send(self.workload.bad(kind), None, number)

    def flush(self, timeout_s: float) -> None:
        """Wait until brokers have everything that was sent."""
        assert self._producer.flush(timeout_s) == 0

    def finish_user_actions(self) -> None:
        """Have users resume the jobs that are still paused, and wait for their calls."""
        self.client_thread.wait()
        resumed = {action.job.name for action in self.user_actions if action.verb == "resume"}
        for name, job in self._to_resume.items():
            if name not in resumed:
                self.client_thread.ask("resume", job, partial(self._did, "resume", job))
        self.client_thread.wait()
