"""`retention`: latency at a steady rate while old jobs stay in the database, and while they are removed."""

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from bench.drain import warm_up_with
from bench.outcome import Case, Metric, Outcome, latency_metrics, rounds_text
from bench.scenarios.latency import FlowResult, flow, workloads_at
from bench.scenarios.scale import fill_with_finished_jobs
from bench.scenarios.throughput import cost_metrics
from bench.session import BenchSession, Options
from bench.verify import verify_messages
from tracker.store.connect import connect

_RATE = 5_000
_SECONDS, _QUICK_SECONDS = 30, 4
_OLD_JOBS, _QUICK_OLD_JOBS = 200_000, 20_000
_OLD_S, _RETENTION_S = 7_200, 3_600
_CASES = {"old jobs stay": {}, "old jobs are removed": {"TRACKER_RETENTION_S": str(_RETENTION_S)}}


@dataclass(frozen=True)
class _Measured:
    """The flow, and the number of old jobs that were removed meanwhile."""

    flowed: FlowResult
    removed: int


class Retention:
    name = "retention"
    description = "latency at a steady rate while old jobs stay, and while they are removed"
    usual = quick = False

    def steps(self, options: Options) -> int:
        return len(_CASES) * options.rounds

    def run(self, session: BenchSession) -> Outcome:
        options = session.options
        seconds = _QUICK_SECONDS if options.quick else _SECONDS
        old_jobs = _QUICK_OLD_JOBS if options.quick else _OLD_JOBS
        found: dict[str, list[_Measured]] = {name: [] for name in _CASES}
        for number in range(options.rounds):
            for name in list(_CASES) if number % 2 == 0 else reversed(_CASES):
                with session.progress.step(f"retention, round {number + 1} of {options.rounds}: {name}"):
                    found[name].append(_measure(session, _CASES[name], seconds, old_jobs))
        return Outcome(
            size=f"{_RATE:,} messages/s for {seconds} s, {old_jobs:,} old jobs, {options.workers} workers,"
            f" {rounds_text(options.rounds)}; results verified",
            cases=[_case(name, rounds, seconds) for name, rounds in found.items()],
            raw={
                name: [asdict(each.flowed.measurement) for each in rounds] for name, rounds in found.items()
            },
        )


SCENARIO = Retention()


def _measure(session: BenchSession, variables: dict[str, str], seconds: float, old_jobs: int) -> _Measured:
    topics = session.topics()
    warm_up, workloads = workloads_at(topics, [_RATE], seconds, session.options.seed)
    workload = workloads[_RATE]
    fill = partial(fill_with_finished_jobs, count=old_jobs, ended_s_ago=_OLD_S)
    jobs = [*warm_up.jobs(), *workload.jobs()]
    with session.tracker(topics, jobs, variables=variables, before=fill) as tracked:
        warm_up_with(session.servers, tracked.contender, warm_up)
        before = _count_jobs(tracked.database_url)
        flowed, first = flow(session, tracked.contender, workload, _RATE)
        removed = before - _count_jobs(tracked.database_url)
        verify_messages(session.servers.clients, topics.destination, first, workload.size, workload.forwarded)
    return _Measured(flowed, removed)


def _count_jobs(database_url: str) -> int:
    with connect(database_url) as connection:
        count: Any
        [(count,)] = connection.execute("SELECT count(*) FROM job").fetchall()
    return int(count)


def _case(name: str, rounds: list[_Measured], seconds: float) -> Case:
    metrics = latency_metrics([each.flowed.latencies for each in rounds])
    metrics += cost_metrics([each.flowed.measurement for each in rounds], "messages")[
        1:
    ]  # without the rate, which is given
    removed = [each.removed / seconds for each in rounds]
    return Case(name, [*metrics, Metric("removed_rate", "jobs removed/s", removed, "more")])
