"""`fan-in`: the cost of recording that a task has completed, by the number of its siblings.

This process runs the worker's own code (`Applier`: load, fold and write, in one database transaction) batch
by batch, on completions as decoding would return them, without Kafka. Each batch has completions of ten jobs
at all sizes, so only the number of siblings differs.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import Message

from bench.batch_applier import BatchApplier
from bench.outcome import Case, Metric, Outcome, rounds_text
from bench.processes import cpu_seconds
from bench.session import BenchSession, Options
from bench.verify import verify_jobs
from bench.workload import PARTITION_ID, indexed, start_task
from tracker import Client, JobStatus, NewJob
from tracker.identifiers import JobName, TaskName
from tracker.messages.decode import DecodedBatch
from tracker.messages.job_work import Siblings
from tracker.store.batch_store import BatchStore

_SIBLINGS = (1_000, 10_000, 100_000, 1_000_000)
_JOBS_AT_ONCE = 10
_WARM_UP_SIBLINGS = 3_000
_TOPIC = "bench"
_MESSAGE = b'{"taskId":"00000000-0000-4000-8000-000000000001","correlationId":null}'
_PARTS = 5  # of the batches; the first and the last part are compared


@dataclass(frozen=True)
class _Cost:
    """The cost of one size in one round."""

    completions: int
    batch_seconds: Sequence[float]
    batch_completions: Sequence[int]
    cpu_seconds: dict[str, float]
    wal_bytes: int | None

    @property
    def rate(self) -> float:
        return self.completions / sum(self.batch_seconds)

    def us(self, part: slice) -> float:
        """Return the cost of a completion in these batches, in microseconds."""
        return sum(self.batch_seconds[part]) / sum(self.batch_completions[part]) * 1e6


class FanIn:
    name = "fan-in"
    description = "database and fold alone: the cost of a completion by the number of siblings"
    quick = usual = True

    def steps(self, options: Options) -> int:
        return options.rounds * len(self._sizes(options))

    def run(self, session: BenchSession) -> Outcome:
        options = session.options
        found: dict[int, list[_Cost]] = {siblings: [] for siblings in self._sizes(options)}
        for number in range(options.rounds):
            for siblings in sorted(found, reverse=number % 2 == 1):
                text = f"fan-in, round {number + 1} of {options.rounds}: {siblings:,} siblings"
                with session.progress.step(text):
                    found[siblings].append(_measure(session, siblings))
        least = min(found)
        cases = [_case(siblings, costs, found[least]) for siblings, costs in found.items()]
        return Outcome(
            size=f"batches of {options.batch_size:,} completions of {_JOBS_AT_ONCE} jobs, one process,"
            f" {rounds_text(options.rounds)}; results verified",
            cases=cases,
            raw={str(siblings): [vars(cost) for cost in costs] for siblings, costs in found.items()},
        )

    def _sizes(self, options: Options) -> Sequence[int]:
        """Return the numbers of siblings, none of them larger than the number of messages."""
        return [siblings for siblings in _SIBLINGS if siblings <= max(_SIBLINGS[0], options.messages)]


SCENARIO = FanIn()


def _case(siblings: int, costs: list[_Cost], costs_of_least: list[_Cost]) -> Case:
    whole = slice(None)
    pairs = zip(costs, costs_of_least, strict=True)
    flatness = [cost.us(whole) / least.us(whole) for cost, least in pairs]
    starts = [cost.us(slice(0, max(1, len(cost.batch_seconds) // _PARTS))) for cost in costs]
    ends = [cost.us(slice(-max(1, len(cost.batch_seconds) // _PARTS), None)) for cost in costs]
    growth = [end / start for end, start in zip(ends, starts, strict=True)]
    metrics = [
        Metric("rate", "completions/s", [cost.rate for cost in costs], "more", 300_000),
        Metric("us", "µs/completion", [cost.us(whole) for cost in costs], "less", None, 2),
        Metric("flatness", "ratio to fewest siblings", flatness, "less", 1.2, 2),
        Metric("start_us", "µs/completion, first fifth", starts, "less", None, 2),
        Metric("end_us", "µs/completion, last fifth", ends, "less", None, 2),
        Metric("growth", "last fifth / first fifth", growth, "less", 1.2, 2),
    ]
    for part, label in (
        ("contender", "CPU µs/completion: process"),
        ("postgresql", "CPU µs/completion: PostgreSQL"),
    ):
        if part in costs[0].cpu_seconds:
            spent = [cost.cpu_seconds[part] / cost.completions * 1e6 for cost in costs]
            metrics.append(Metric(f"cpu_us_{part}", label, spent, "less", None, 2))
    wal = [cost.wal_bytes / cost.completions for cost in costs if cost.wal_bytes is not None]
    if wal:
        metrics.append(Metric("wal_bytes", "WAL bytes/completion", wal, "less", None, 2))
    return Case(f"{siblings:,}", metrics, at=siblings)


def _measure(session: BenchSession, siblings: int) -> _Cost:
    servers, options = session.servers, session.options
    # Groups of ten jobs follow each other until there are this many completions.
    groups = max(1, options.messages // (siblings * _JOBS_AT_ONCE))
    job_ids = [f"job-{number:06d}" for number in range(groups * _JOBS_AT_ONCE)]
    warm_ids = [f"warm-{number:06d}" for number in range(_JOBS_AT_ONCE)]
    topics = session.topics()
    task = start_task(topics, topics.destination)
    submitted = [*warm_ids, *job_ids]
    with servers.database(topics.tracking) as database_url:
        with Client(database_url) as client:
            client.submit([NewJob(partition_id=PARTITION_ID, id=job_id, task=task) for job_id in submitted])
        driver = _Driver(database_url)
        try:
            for completions in _batches(warm_ids, _WARM_UP_SIBLINGS, options.batch_size):
                driver.apply(completions)  # prepares statements, loads code
            driver.reset()
            wal_before, cpu_before = servers.wal_bytes(), _cpu(session)
            for completions in _batches(job_ids, siblings, options.batch_size):
                driver.apply(completions)
            cpu, wal = _cpu(session), servers.wal_bytes()
        finally:
            driver.close()
        verify_jobs(database_url, job_ids, JobStatus.COMPLETED, 100.0)
    return _Cost(
        completions=siblings * len(job_ids),
        batch_seconds=driver.seconds,
        batch_completions=driver.completions,
        cpu_seconds={part: cpu[part] - cpu_before[part] for part in cpu},
        wal_bytes=None if wal is None or wal_before is None else wal - wal_before,
    )


def _cpu(session: BenchSession) -> dict[str, float]:
    parts = {"contender": time.process_time()}
    if session.servers.started_here:
        parts["postgresql"] = cpu_seconds(session.servers.postgres_pids)
    return parts


def _batches(
    job_ids: Sequence[str], siblings: int, batch_size: int
) -> Iterator[list[tuple[str, range, int]]]:
    """Yield batches of (job, completed tasks, number of tasks), of ten jobs at a time, each job in order.

    If the jobs are small, a batch has several groups of ten.
    """
    share = max(1, batch_size // _JOBS_AT_ONCE)
    jobs_per_batch = _JOBS_AT_ONCE * max(1, share // siblings)
    for start in range(0, len(job_ids), jobs_per_batch):
        jobs = job_ids[start : start + jobs_per_batch]
        for first in range(1, siblings + 1, share):
            tasks = range(first, min(first + share, siblings + 1))
            yield [(job_id, tasks, siblings) for job_id in jobs]


class _Driver:
    """Applies batches as a worker does, and measures the time."""

    def __init__(self, database_url: str) -> None:
        self._store = BatchStore(database_url)
        self._store.connect()
        self._applier = BatchApplier(self._store, _TOPIC)
        self._next_offset = 0
        self.seconds: list[float] = []
        self.completions: list[int] = []

    def apply(self, completions: Sequence[tuple[str, range, int]]) -> None:
        """Record completed tasks of jobs."""
        count = sum(len(tasks) for _, tasks, _ in completions)
        batch, decoded = self._applier.batch(self._records(count)), _decoded(completions, count)
        began = time.perf_counter()
        self._applier.apply(batch, decoded)
        self.seconds.append(time.perf_counter() - began)
        self.completions.append(count)

    def reset(self) -> None:
        """Discard the measurements so far."""
        self.seconds.clear()
        self.completions.clear()

    def close(self) -> None:
        self._store.close()

    def _records(self, count: int) -> list[Message]:
        """Return the next records. Only the one that completes a job is read again."""
        first = self._next_offset
        self._next_offset += count
        return [
            Message(topic=_TOPIC, partition=0, offset=offset, value=_MESSAGE)
            for offset in range(first, self._next_offset)
        ]


def _decoded(completions: Sequence[tuple[str, range, int]], count: int) -> DecodedBatch:
    """Return the batch that decoding the messages would return."""
    found, position = DecodedBatch(count), 0
    for job_id, tasks, last in completions:
        job = JobName(PARTITION_ID, job_id)
        siblings = Siblings(TaskName(job, "", ()))
        siblings.completed = list(tasks)
        siblings.completed_texts = [indexed(task, last).decode() for task in tasks]
        siblings.completed_positions = list(range(position, position + len(tasks)))
        siblings.last = last if last in tasks else 0
        work = found.work_of(job)
        work.siblings.append(siblings)
        work.ending_positions += siblings.completed_positions
        position += len(tasks)
    return found
