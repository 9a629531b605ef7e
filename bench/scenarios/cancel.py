"""`cancel`: half of the jobs are cancelled while their messages flow.

It measures how long after the commit of the cancel a reader of committed records sees the last message of a
cancelled job. The time of the commit is taken to be the return of the call, which is a moment later, so a
message that is forwarded before counts below zero. It also measures the cost of messages that are dropped.
"""

import threading
import time
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import isnan

from bench.backlog import BacklogLoader, OffsetWatcher
from bench.drain import STALL_TIMEOUT_S, Measurement, send_warm_up
from bench.errors import BenchError, WrongResult
from bench.flow import Arrivals, Reader, Sender, wait_for_zero
from bench.outcome import Case, Metric, Outcome, percentile
from bench.scenarios.throughput import Variant, cost_metrics, cpu_us, drain_tracker
from bench.session import WARM_UP_MESSAGES, BenchSession, Options, RunningTracker
from bench.workload import PARTITION_ID, Size, TasksInTurn, Workload
from tracker import Client

_JOBS = 1_000
_RATE = 10_000
_SECONDS, _QUICK_SECONDS = 10, 4
_GOAL_MS = 250.0


def _cancel_all(tracked: RunningTracker, workload: Workload) -> None:
    with Client(tracked.database_url) as client:
        client.cancel([f"{PARTITION_ID}:{job_id}" for job_id in workload.job_ids])


_WORKLOAD = partial(TasksInTurn, jobs=_JOBS)
FORWARDED = Variant("forwarded", _WORKLOAD)
DROPPED = Variant("dropped", _WORKLOAD, before=_cancel_all, dropped=True)


@dataclass(frozen=True)
class CancelResult:
    """The duration of the cancel, and how long after it each job's last message was forwarded, in seconds."""

    cancel_seconds: float
    last_forwards: Sequence[float]


class Cancel:
    name = "cancel"
    description = f"half of {_JOBS:,} jobs are cancelled while their messages flow"
    quick = usual = True

    def steps(self, options: Options) -> int:
        return options.rounds * (1 if options.quick else 3)

    def run(self, session: BenchSession) -> Outcome:
        options = session.options
        size = Size(options.messages, options.seed)
        under_load: list[CancelResult] = []
        found: dict[str, list[Measurement]] = {} if options.quick else {FORWARDED.name: [], DROPPED.name: []}
        seconds = _QUICK_SECONDS if options.quick else _SECONDS
        for number in range(options.rounds):
            text = f"cancel, round {number + 1} of {options.rounds}: "
            with session.progress.step(text + "under load"):
                under_load.append(_measure(session, seconds))
            turn = [variant for variant in (FORWARDED, DROPPED) if variant.name in found]
            for variant in turn if number % 2 == 0 else turn[::-1]:
                with session.progress.step(text + variant.name):
                    found[variant.name].append(drain_tracker(session, variant, size))
        drained = f"; {options.messages:,} messages forwarded or dropped" if found else ""
        return Outcome(
            size=f"{_RATE:,} messages/s for {seconds} s under load{drained}; {options.workers} workers;"
            " results verified",
            cases=[_under_load(under_load), *_costs(found)],
            raw={name: [asdict(each) for each in rounds] for name, rounds in found.items()},
        )


SCENARIO = Cancel()


def _under_load(rounds: Sequence[CancelResult]) -> Case:
    last = [sorted(each * 1000 for each in found.last_forwards) for found in rounds]
    return Case(
        "under load",
        [
            Metric(
                "cancel_ms",
                "duration of the cancel, ms",
                [each.cancel_seconds * 1000 for each in rounds],
                "less",
            ),
            Metric("last_p50_ms", "last forward, p50 ms", [percentile(each, 0.5) for each in last], "less"),
            Metric("last_max_ms", "last forward, max ms", [each[-1] for each in last], "less", _GOAL_MS),
        ],
    )


def _costs(found: dict[str, list[Measurement]]) -> list[Case]:
    if not found:
        return []
    forwarded, dropped = found[FORWARDED.name], found[DROPPED.name]
    return [
        Case(FORWARDED.name, cost_metrics(forwarded, "messages")),
        Case(
            DROPPED.name, [_compared_with_forwarding(forwarded, dropped), *cost_metrics(dropped, "messages")]
        ),
    ]


def _compared_with_forwarding(forwarded: Sequence[Measurement], dropped: Sequence[Measurement]) -> Metric:
    pairs = zip(forwarded, dropped, strict=True)
    if "broker" in forwarded[0].cpu_seconds:
        factors = [cpu_us(drop) / cpu_us(forward) for forward, drop in pairs]
        return Metric("cpu_factor", "CPU time, forwarding = 1", factors, "less", 1.0, 2)
    factors = [forward.rate / drop.rate for forward, drop in pairs]
    return Metric("time_factor", "time, forwarding = 1", factors, "less", 1.0, 2)


def _measure(session: BenchSession, seconds: float) -> CancelResult:
    topics, clients = session.topics(), session.servers.clients
    warm_up = TasksInTurn(topics, Size(WARM_UP_MESSAGES, session.options.seed, "warm"), jobs=200)
    workload = TasksInTurn(topics, Size(round(_RATE * seconds), session.options.seed), jobs=_JOBS)
    with session.tracker(topics, [*warm_up.jobs(), *workload.jobs()]) as tracked:
        loader, watcher = (
            BacklogLoader(clients, topics),
            OffsetWatcher(clients, topics, tracked.contender.group_id),
        )
        send_warm_up(loader, watcher, tracked.contender, warm_up)
        messages, arrivals = list(workload.messages()), Arrivals(workload.size)
        canceller = _Canceller(tracked.database_url, workload.job_ids[: _JOBS // 2])
        with Reader(clients, topics.destination, topics.kafka_partitions, arrivals.record) as reader:
            canceller.start(seconds / 2)
            Sender(clients, topics.tracking).send_at_rate(messages, _RATE, time.monotonic())
            canceller.join()
            # These are the last messages of each Kafka partition: once they are there, all earlier ones are
            # decided.
            kept = [number for number in range(workload.size) if number % _JOBS >= _JOBS // 2]
            wait_for_zero(
                lambda: sum(isnan(arrivals.times[number]) for number in kept[-_JOBS:]),
                [tracked.contender.check, reader.check],
                STALL_TIMEOUT_S,
                "messages have not arrived",
            )
        watcher.close()
    last = last_forwards(arrivals.times, canceller.committed)
    return CancelResult(canceller.committed - canceller.began, last)


def last_forwards(times: "array[float]", committed: float) -> list[float]:
    """Return how long after the commit each cancelled job's last message arrived; negative means before it.

    `times` has the arrival of each message, or NaN if it did not arrive. Message n belongs to job n % 1000,
    and the first half of the jobs are cancelled.

    :raises WrongResult: a message of another job is missing, or one of a cancelled job arrived although an
        earlier one had been dropped.
    :raises BenchError: the cancel came too late to be measured.
    """
    last = []
    for job in range(_JOBS):
        of_job = times[job::_JOBS]
        arrived = [at for at in of_job if not isnan(at)]
        if any(isnan(at) for at in of_job[: len(arrived)]):
            raise WrongResult(f"a message of job {job} was dropped, and a later one was not")
        if job < _JOBS // 2:
            last.append(max(arrived, default=committed) - committed)
            if len(arrived) == len(of_job):
                raise BenchError("the jobs were cancelled only after all messages had been forwarded")
        elif len(arrived) < len(of_job):
            raise WrongResult(f"a message of job {job}, which was not cancelled, was dropped")
    return last


class _Canceller:
    """Cancels jobs after a delay, in a thread. `began` and `committed` are times of `time.monotonic`."""

    def __init__(self, database_url: str, job_ids: Sequence[str]) -> None:
        self.began = self.committed = 0.0
        self._database_url = database_url
        self._jobs = [f"{PARTITION_ID}:{job_id}" for job_id in job_ids]
        self._failure: BaseException | None = None

    def start(self, after_s: float) -> None:
        self._timer = threading.Timer(after_s, self._cancel)
        self._timer.start()

    def join(self) -> None:
        """Wait until the jobs are cancelled."""
        self._timer.join()
        if self._failure is not None:
            raise BenchError(f"the jobs could not be cancelled: {self._failure}")

    def _cancel(self) -> None:
        try:
            with Client(self._database_url) as client:
                self.began = time.monotonic()
                client.cancel(self._jobs)
                self.committed = time.monotonic()
        except BaseException as error:  # noqa: BLE001 - raised by `join`
            self._failure = error
