"""`fan-in`: what it costs to record that a task has completed, by how many siblings it has.

The worker's own code (`Applier`: load, fold, write, in one database transaction) is driven in this process,
batch by batch, with the completions that decoding would have found; there is no Kafka. Each batch has
completions of ten jobs, the same for all sizes, so that only the number of siblings differs.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from bench.outcome import Case, Metric, Outcome
from bench.processes import cpu_seconds
from bench.session import Options, Session
from bench.tracked import own_settings
from bench.verify import verify_jobs
from bench.workload import PARTITION_ID, Topics, indexed, start_task
from tracker import Client, JobStatus, NewJob
from tracker.identifiers import JobName, TaskName
from tracker.kafka.batch import AssignedOffset, Batch, Epoch, OffsetRange
from tracker.messages.decode import DecodedBatch, Rules
from tracker.messages.job_work import Siblings
from tracker.metrics import Recorder
from tracker.pipeline.apply import Applier
from tracker.pipeline.handover import Pipeline
from tracker.pipeline.refusals import Refusals
from tracker.store.batch_store import BatchStore

_SIBLINGS = (1_000, 10_000, 100_000, 1_000_000)
_JOBS_AT_ONCE = 10
_WARM_UP_SIBLINGS = 3_000
_TOPIC = "bench"
_PART = 5  # the first and the last of so many parts of the batches are compared


@dataclass(frozen=True)
class _Cost:
    """Of one size, in one round."""

    completions: int
    batch_seconds: Sequence[float]
    batch_completions: Sequence[int]
    cpu_seconds: dict[str, float]
    wal_bytes: int | None

    @property
    def rate(self) -> float:
        return self.completions / sum(self.batch_seconds)

    def us(self, part: slice) -> float:
        """Return what a completion costs in these batches, in microseconds."""
        return sum(self.batch_seconds[part]) / sum(self.batch_completions[part]) * 1e6


class FanIn:
    name = "fan-in"
    what = "database and fold alone: what a completion costs, by the number of siblings"
    quick = usual = True

    def steps(self, options: Options) -> int:
        return options.rounds * len(self._sizes(options))

    def run(self, session: Session) -> Outcome:
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
            f" {options.rounds} round(s); what is stored is right",
            cases=cases,
            raw={str(siblings): [vars(cost) for cost in costs] for siblings, costs in found.items()},
        )

    def _sizes(self, options: Options) -> Sequence[int]:
        """Return the numbers of siblings: no more than messages are asked for elsewhere."""
        return [siblings for siblings in _SIBLINGS if siblings <= max(_SIBLINGS[0], options.messages)]


SCENARIO = FanIn()


def _case(siblings: int, costs: list[_Cost], costs_of_least: list[_Cost]) -> Case:
    whole = slice(None)
    pairs = zip(costs, costs_of_least, strict=True)
    flatness = [cost.us(whole) / least.us(whole) for cost, least in pairs]
    starts = [cost.us(slice(0, max(1, len(cost.batch_seconds) // _PART))) for cost in costs]
    ends = [cost.us(slice(-max(1, len(cost.batch_seconds) // _PART), None)) for cost in costs]
    growth = [end / start for end, start in zip(ends, starts, strict=True)]
    metrics = [
        Metric("rate", "completions/s", [cost.rate for cost in costs], "more", 300_000),
        Metric("us", "µs each", [cost.us(whole) for cost in costs], "less", None, 2),
        Metric("flatness", "of that of the fewest", flatness, "less", 1.2, 2),
        Metric("start_us", "at the start", starts, "less", None, 2),
        Metric("end_us", "at the end", ends, "less", None, 2),
        Metric("growth", "end, of the start", growth, "less", 1.2, 2),
    ]
    for part, label in (("contender", "CPU µs: process"), ("postgresql", "CPU µs: PostgreSQL")):
        if part in costs[0].cpu_seconds:
            spent = [cost.cpu_seconds[part] / cost.completions * 1e6 for cost in costs]
            metrics.append(Metric(f"cpu_us_{part}", label, spent, "less", None, 2))
    wal = [cost.wal_bytes / cost.completions for cost in costs if cost.wal_bytes is not None]
    if wal:
        metrics.append(Metric("wal_bytes", "WAL bytes", wal, "less", None, 2))
    return Case(f"{siblings:,}", metrics, at=siblings)


def _measure(session: Session, siblings: int) -> _Cost:
    servers, options = session.servers, session.options
    # Groups of ten jobs follow each other until there have been so many completions.
    groups = max(1, options.messages // (siblings * _JOBS_AT_ONCE))
    job_ids = [f"job-{number:06d}" for number in range(groups * _JOBS_AT_ONCE)]
    warm_ids = [f"warm-{number:06d}" for number in range(_JOBS_AT_ONCE)]
    topics = session.topics()
    task = start_task(topics, topics.destination)
    submitted = [*warm_ids, *job_ids]
    with servers.database(topics.tracking) as database_url:
        with Client(database_url) as client:
            client.submit([NewJob(partition_id=PARTITION_ID, id=job_id, task=task) for job_id in submitted])
        driver = _Driver(database_url, topics)
        try:
            for completions in _batches(warm_ids, _WARM_UP_SIBLINGS, options.batch_size):
                driver.apply(completions)  # statements are prepared, code is loaded
            driver.forget()
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


def _cpu(session: Session) -> dict[str, float]:
    parts = {"contender": time.process_time()}
    if session.servers.ours:
        parts["postgresql"] = cpu_seconds(session.servers.postgres_pids)
    return parts


def _batches(
    job_ids: Sequence[str], siblings: int, batch_size: int
) -> Iterator[list[tuple[str, range, int]]]:
    """Yield batches of (job, completed tasks, number of tasks): ten jobs at a time, each in order.

    Where jobs are small, a batch has as many tens of them as it takes.
    """
    share = max(1, batch_size // _JOBS_AT_ONCE)
    jobs_a_batch = _JOBS_AT_ONCE * max(1, share // siblings)
    for place in range(0, len(job_ids), jobs_a_batch):
        jobs = job_ids[place : place + jobs_a_batch]
        for first in range(1, siblings + 1, share):
            tasks = range(first, min(first + share, siblings + 1))
            yield [(job_id, tasks, siblings) for job_id in jobs]


@dataclass
class _Record:
    """A record as the worker knows it, of the last task of a job."""

    place: int
    message: bytes = field(
        default=b'{"taskId":"00000000-0000-4000-8000-000000000001","correlationId":null}', repr=False
    )

    def topic(self) -> str:
        return _TOPIC

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.place

    def value(self) -> bytes:
        return self.message


class _Driver:
    """Applies batches as a worker does, and takes the time."""

    def __init__(self, database_url: str, topics: Topics) -> None:
        settings = own_settings({}, workers=1)
        self._pipeline = Pipeline()
        self._store = BatchStore(database_url)
        self._store.connect()
        rules = Rules([topics.tracking], lambda _: None, 1_000_000, 10_000)
        self._applier = Applier(
            settings,
            self._store,
            rules,
            Recorder(),
            self._pipeline,
            Refusals(),
            self._pipeline.published.get,
        )
        self._epoch = Epoch()
        self._next_offset = 0
        self.seconds: list[float] = []
        self.completions: list[int] = []

    def apply(self, completions: Sequence[tuple[str, range, int]]) -> None:
        """Record completed tasks of jobs."""
        count = sum(len(tasks) for _, tasks, _ in completions)
        batch, decoded = self._batch(count), _decoded(completions, count)
        began = time.perf_counter()
        self._applier.apply(batch, decoded)
        self.seconds.append(time.perf_counter() - began)
        self.completions.append(count)
        self._pipeline.published.move_on({(_TOPIC, 0): self._next_offset})

    def forget(self) -> None:
        """Forget what was measured so far."""
        self.seconds.clear()
        self.completions.clear()

    def close(self) -> None:
        self._store.close()

    def _batch(self, count: int) -> Batch:
        offsets = OffsetRange(self._next_offset, self._next_offset + count)
        records = cast(Any, [_Record(offset) for offset in range(*offsets)])
        key = (_TOPIC, 0)
        assigned_offsets = {} if offsets.first else {key: AssignedOffset(None, "", "")}
        self._next_offset = offsets.next
        return Batch(records, {key: offsets}, self._epoch, None, 0, assigned_offsets)


def _decoded(completions: Sequence[tuple[str, range, int]], count: int) -> DecodedBatch:
    """Return what decoding the messages would have come to."""
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
