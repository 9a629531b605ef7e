"""`release`: jobs are released when their prerequisites complete.

There are four graphs: many dependents of one job, all released by one message; a chain, and a lattice of
diamonds, in which the benchmark completes each job as soon as it sees its release; and many prerequisites of
one job.

The latency runs from when the message that completes the last prerequisite is sent until the release is
visible to a reader of committed records. In the chain, nothing else happens meanwhile, so the tracker is not
overloaded.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from confluent_kafka import Message

from bench.drain import STALL_TIMEOUT_S, CostMeter, Measurement, warm_up_with
from bench.flow import Reader, Sender, wait_for_zero
from bench.outcome import Case, Metric, Outcome, latency_metrics
from bench.scenarios.throughput import cost_metrics
from bench.session import WARM_UP_MESSAGES, BenchSession, Options, RunningTracker
from bench.verify import verify_jobs, verify_keys
from bench.workload import (
    PARTITION_ID,
    ProducerRecord,
    Size,
    TaskMessageFactory,
    TasksInTurn,
    Topics,
    start_task,
)
from tracker import Client, JobStatus, NewJob

_FAN, _CHAIN, _SIDE = 10_000, 1_000, 100
_QUICK_CHAIN = 100
_GOAL_RATE = 20_000
_GOAL_MS = (20.0, 100.0)
_ONLY_TASK = b"1*"


@dataclass(frozen=True)
class Graph:
    """Jobs, with the numbers of their prerequisites.

    With `completes_on_release`, each job is completed when its release is seen; otherwise only the jobs
    without prerequisites are completed, all at once. `goal_rate` is in releases a second; `goal_ms` has p50
    and p99.
    """

    name: str
    prerequisites: Sequence[Sequence[int]]
    completes_on_release: bool
    goal_rate: float | None = None
    goal_ms: tuple[float, float] | None = None

    @property
    def waiting(self) -> list[int]:
        """The numbers of the jobs that wait for others."""
        return [number for number, needed in enumerate(self.prerequisites) if needed]

    @property
    def prefix(self) -> str:
        """The prefix of all its job IDs."""
        return self.name.replace(" ", "-") + "-"

    def job_id(self, number: int) -> str:
        """Return the ID of a job."""
        return f"{self.prefix}{number:06d}"

    def jobs(self, topics: Topics) -> list[NewJob]:
        """Return the jobs to submit."""
        task = start_task(topics, topics.destination)
        return [
            NewJob(
                partition_id=PARTITION_ID,
                id=self.job_id(number),
                task=task,
                prerequisite_job_ids=tuple(self.job_id(each) for each in needed),
            )
            for number, needed in enumerate(self.prerequisites)
        ]


def dependents(count: int) -> Graph:
    """Return a graph in which `count` jobs wait for one job."""
    return Graph("dependents of one", [(), *[(0,)] * count], completes_on_release=False, goal_rate=_GOAL_RATE)


def _pairs(count: int) -> Graph:
    """Return a graph of pairs; the prerequisite of each has a Kafka partition of its own."""
    prerequisites: list[tuple[int, ...]] = [*[()] * count, *[(number,) for number in range(count)]]
    return Graph("warm pairs", prerequisites, completes_on_release=False)


def chain(length: int) -> Graph:
    """Return a graph in which each of `length` jobs waits for the one before."""
    return Graph("chain", [(), *((n,) for n in range(length))], completes_on_release=True, goal_ms=_GOAL_MS)


def lattice(side: int) -> Graph:
    """Return `side` layers of as many jobs, each of which waits for two neighbours in the layer before."""
    first: list[Sequence[int]] = [()] * side
    return Graph(
        "lattice",
        first
        + [
            tuple({(layer - 1) * side + column, (layer - 1) * side + (column + 1) % side})
            for layer in range(1, side)
            for column in range(side)
        ],
        completes_on_release=True,
    )


def prerequisites(count: int) -> Graph:
    """Return a graph in which one job waits for `count`."""
    return Graph("prerequisites of one", [*[()] * count, tuple(range(count))], completes_on_release=False)


class Release:
    name = "release"
    description = "jobs are released when their prerequisites complete"
    quick = usual = True

    def graphs(self, options: Options) -> list[Graph]:
        """Return the graphs to measure, which are smaller for few messages."""
        fan = min(_FAN, max(10, options.messages // 10))
        if options.quick:
            return [dependents(fan), chain(min(fan, _QUICK_CHAIN))]
        side = min(_SIDE, max(2, fan // 100))
        return [dependents(fan), chain(min(fan, _CHAIN)), lattice(side), prerequisites(fan)]

    def steps(self, options: Options) -> int:
        return options.rounds * len(self.graphs(options))

    def run(self, session: BenchSession) -> Outcome:
        options = session.options
        graphs = self.graphs(options)
        found: dict[str, list[ReleaseResult]] = {graph.name: [] for graph in graphs}
        for number in range(options.rounds):
            for graph in graphs:
                text = f"release, round {number + 1} of {options.rounds}: {graph.name}"
                with session.progress.step(text):
                    found[graph.name].append(_measure(session, graph))
        sizes = ", ".join(f"{graph.name} {len(graph.prerequisites):,} jobs" for graph in graphs)
        return Outcome(
            size=f"{sizes}; {options.workers} workers; each job was sent once",
            cases=[_case(graph, found[graph.name]) for graph in graphs],
            raw={name: [asdict(each.measurement) for each in rounds] for name, rounds in found.items()},
        )


SCENARIO = Release()


@dataclass(frozen=True)
class ReleaseResult:
    """The result of a graph: the duration of the whole, and the latency of each release, in seconds."""

    completions: int
    seconds: float
    latencies: Sequence[float]
    measurement: Measurement


def _case(graph: Graph, rounds: Sequence[ReleaseResult]) -> Case:
    metrics = []
    if len(graph.waiting) > 1:
        rates = [len(each.latencies) / each.seconds for each in rounds]
        metrics.append(Metric("rate", "releases/s", rates, "more", graph.goal_rate))
    if rounds[0].completions > 1:
        rates = [each.completions / each.seconds for each in rounds]
        metrics.append(Metric("completed_rate", "jobs completed/s", rates, "more"))
    metrics += latency_metrics([each.latencies for each in rounds], goal_ms=graph.goal_ms)
    metrics += cost_metrics([each.measurement for each in rounds], "jobs")[1:]  # without the rate of jobs
    return Case(graph.name, metrics)


def _measure(session: BenchSession, graph: Graph) -> ReleaseResult:
    topics = session.topics()
    warm_up = TasksInTurn(topics, Size(WARM_UP_MESSAGES, session.options.seed, "warm"), jobs=200)
    pairs = _pairs(topics.kafka_partitions)
    jobs = [*warm_up.jobs(), *pairs.jobs(topics), *graph.jobs(topics)]
    with session.tracker(topics, jobs, waiting=len(pairs.waiting) + len(graph.waiting)) as tracked:
        warm_up_with(session.servers, tracked.contender, warm_up)
        # A worker applies the batch of its first release to a topic twice: it asks a broker for that topic.
        _Driver(session, tracked, pairs).run()
        driver = _Driver(session, tracked, graph)
        released = driver.run()
        job_ids = [
            each.job_id(number) for each in (pairs, graph) for number in range(len(each.prerequisites))
        ]
        keys = [f"{PARTITION_ID}:{job_id}".encode() for job_id in [*warm_up.job_ids, *job_ids]]
        verify_keys(session.servers.clients, topics.start, keys)
        for status, percentage, numbers in driver.expected():
            verify_jobs(tracked.database_url, [graph.job_id(n) for n in numbers], status, percentage)
    return released


class _Driver:
    """Completes jobs, and sees the releases of the others."""

    def __init__(self, session: BenchSession, tracked: RunningTracker, graph: Graph) -> None:
        self._clients = session.servers.clients
        self._tracked = tracked
        self._graph = graph
        self._factory = TaskMessageFactory(tracked.topics, session.options.seed)
        self._sender = Sender(self._clients, tracked.topics.tracking)
        self._numbers = {graph.job_id(n).encode(): n for n in range(len(graph.prerequisites))}
        self._completed: dict[int, float] = {}  # when the message that completes the job was sent
        self._released: dict[int, float] = {}

    def run(self) -> ReleaseResult:
        topics, graph = self._tracked.topics, self._graph
        roots = [n for n, needed in enumerate(graph.prerequisites) if not needed]
        with Reader(self._clients, topics.start, 1, self._on_released) as reader:
            meter = CostMeter(self._tracked.servers, self._tracked.contender)
            began = time.monotonic()
            for number in roots:
                self._complete(number)
            self._sender.flush()
            checks: list[Callable[[], Any]] = [self._tracked.contender.check, reader.check]
            waiting, what = self._graph.waiting, "jobs were not released"
            wait_for_zero(lambda: len(waiting) - len(self._released), checks, STALL_TIMEOUT_S, what)
            seconds = max(self._released.values()) - began
            measurement = meter.measure(len(graph.prerequisites), seconds, [])
        self._sender.flush()
        self._wait_for_the_last()
        latencies = [
            seen - max(self._completed[needed] for needed in graph.prerequisites[number])
            for number, seen in self._released.items()
        ]
        return ReleaseResult(len(self._completed), seconds, latencies, measurement)

    def expected(self) -> list[tuple[JobStatus, float, list[int]]]:
        """Return the status and percentage that jobs must have now."""
        completed = list(self._completed)
        others = [n for n in range(len(self._graph.prerequisites)) if n not in self._completed]
        return [(JobStatus.COMPLETED, 100.0, completed), (JobStatus.WAITING, 0.0, others)]

    def _complete(self, number: int) -> None:
        job_id = self._graph.job_id(number)
        value = self._factory.message(number, number, job_id, _ONLY_TASK)
        key = f"{PARTITION_ID}:{job_id}".encode()
        self._completed[number] = time.monotonic()
        self._sender.send(ProducerRecord(number % self._tracked.topics.kafka_partitions, key, value))

    def _on_released(self, now: float, records: list[Message]) -> None:
        for record in records:
            _, _, job_id = (record.key() or b"").partition(b":")
            number = self._numbers[job_id]
            self._released[number] = now
            if self._graph.completes_on_release:
                self._complete(number)

    def _wait_for_the_last(self) -> None:
        """Wait until the tracker has applied all messages, also those that release nothing."""
        with Client(self._tracked.database_url) as client:
            wait_for_zero(
                lambda: len(self._completed) - client.count(prefix=self._graph.prefix, status="Completed"),
                [self._tracked.contender.check],
                STALL_TIMEOUT_S,
                "jobs have not completed",
            )
