"""`apply`: what decoding and applying a batch costs in CPU time, in one process and without Kafka.

It shows what a change of the worker's own code gives, where a measurement with Kafka would have more noise
than that. The releases of jobs that complete are not part of it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice

from bench.batch_applier import BatchApplier, garbage_collected_as_in_a_worker
from bench.outcome import Case, Metric, Outcome, rounds_text
from bench.processes import cpu_seconds
from bench.session import BenchSession, Options
from bench.workload import FirstTasks, Size, TasksInTurn, Topics, Tree, Workload, only_tasks
from tracker import Client
from tracker.kafka.batch import Batch
from tracker.store.batch_store import BatchStore

_BATCH, _SMALL_BATCH = 10_000, 100
_SHARE = 0.06  # of the messages of other scenarios, which are a million by default


_CASES: Mapping[str, tuple[Callable[[Topics, Size], Workload], int]] = {
    "proxied": (partial(TasksInTurn, jobs=200, in_progress=True), _BATCH),
    "complete": (partial(TasksInTurn, jobs=200), _BATCH),
    "nested, shuffled": (partial(Tree, shuffled=True), _BATCH),
    "job-each, only task": (only_tasks, _BATCH),
    "job-each, first task": (FirstTasks, _BATCH),
    "small batches": (partial(TasksInTurn, jobs=100), _SMALL_BATCH),
}


@dataclass(frozen=True)
class _Cost:
    """The CPU time of all batches of a case in one round, in seconds."""

    messages: int
    batches: int
    decode: float
    apply: float
    postgresql: float | None


class Apply:
    name = "apply"
    description = "CPU time for decoding and applying, without Kafka"
    quick = usual = False

    def steps(self, options: Options) -> int:
        return options.rounds * len(_CASES)

    def run(self, session: BenchSession) -> Outcome:
        options = session.options
        found: dict[str, list[_Cost]] = {name: [] for name in _CASES}
        for name in session.turns(self.name, list(_CASES)):
            found[name].append(_measure(session, *_CASES[name]))
        return Outcome(
            size=f"one process, {rounds_text(options.rounds)};"
            f" {_BATCH:,} messages in a batch, and {_SMALL_BATCH} of as many jobs in a small one",
            cases=[_case(name, costs) for name, costs in found.items()],
            raw={name: [asdict(each) for each in costs] for name, costs in found.items()},
        )


SCENARIO = Apply()


def _case(name: str, costs: Sequence[_Cost]) -> Case:
    def us(seconds: Sequence[float]) -> list[float]:
        return [spent / cost.messages * 1e6 for spent, cost in zip(seconds, costs, strict=True)]

    decode, apply = us([cost.decode for cost in costs]), us([cost.apply for cost in costs])
    metrics = [
        Metric("decode_us", "CPU µs/message: decode", decode, "less", None, 2),
        Metric("apply_us", "CPU µs/message: apply", apply, "less", None, 2),
    ]
    measured = [cost.postgresql for cost in costs if cost.postgresql is not None]
    if len(measured) == len(costs):
        metrics.append(Metric("postgresql_us", "CPU µs/message: PostgreSQL", us(measured), "less", None, 2))
    own = [(cost.decode + cost.apply) / cost.batches * 1e3 for cost in costs]
    return Case(name, [*metrics, Metric("batch_ms", "CPU ms/batch: decode and apply", own, "less", None, 2)])


def _measure(session: BenchSession, make: Callable[[Topics, Size], Workload], batch_size: int) -> _Cost:
    topics = replace(session.topics(), kafka_partitions=1)
    size = Size(max(1, round(session.options.messages * _SHARE)), session.options.seed)
    workload = make(topics, size)
    with session.servers.database(topics.tracking) as database_url:
        with Client(database_url) as client:
            client.submit(workload.jobs())
        with closing(BatchStore(database_url)) as store:
            store.connect()
            applier = BatchApplier(store, topics.tracking)
            batches = _batches(applier, workload, batch_size)
            decode = apply = 0.0
            postgresql = _postgresql_seconds(session)
            with garbage_collected_as_in_a_worker():
                for batch in batches:
                    began = time.thread_time()
                    decoded = applier.decode(batch)
                    between = time.thread_time()
                    applier.apply(batch, decoded)
                    decode, apply = decode + between - began, apply + time.thread_time() - between
            spent = _postgresql_seconds(session) - postgresql if session.servers.started_here else None
    return _Cost(workload.size, len(batches), decode, apply, spent)


def _postgresql_seconds(session: BenchSession) -> float:
    return cpu_seconds(session.servers.postgres_pids) if session.servers.started_here else 0.0


def _batches(applier: BatchApplier, workload: Workload, size: int) -> list[Batch]:
    """Return the messages in batches, as a consumer receives them."""
    messages, batches = workload.messages(), []
    while taken := list(islice(messages, size)):
        batches.append(applier.receive(taken))
    return batches
