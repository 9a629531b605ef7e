"""`ceiling`: the pass-through with other settings than its own, of which the fastest is the ceiling.

Each case changes one thing of `bench.ceiling_settings`, for messages in several Kafka partitions and in one.
If a case is faster than the first beyond the noise, its settings should be the ceiling's.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from bench.ceiling_settings import ONE_PARTITION, SEVERAL_PARTITIONS, CeilingSettings
from bench.drain import Measurement
from bench.outcome import Case, Metric, Outcome, size_text
from bench.scenarios.complete import COMPLETE
from bench.scenarios.throughput import Variant, cost_metrics, disturbances, drain_ceiling
from bench.session import BenchSession, Options
from bench.workload import Size, TasksInTurn

_ONE_JOB = Variant("one job", partial(TasksInTurn, jobs=1))
_SHAPES = {
    "several Kafka partitions": (COMPLETE, SEVERAL_PARTITIONS),
    "one Kafka partition": (_ONE_JOB, ONE_PARTITION),
}
_RECORDS = (1_000, 3_000, 10_000, 30_000, 60_000)
_CONSUMER: Mapping[str, tuple[Any, ...]] = {
    "max.partition.fetch.bytes": (1_048_576, 4_194_304, 16_777_216),
    "queued.max.messages.kbytes": (65_536, 131_072, 524_288),
    "queued.min.messages": (100_000, 1_000_000),
    "fetch.queue.backoff.ms": (5, 1_000),
    "fetch.wait.max.ms": (10, 50, 500),
}
_PRODUCER: Mapping[str, tuple[Any, ...]] = {
    "linger.ms": (0, 5, 20, 100),
    "batch.size": (100_000, 500_000, 1_000_000, 2_000_000),
    "batch.num.messages": (1_000, 10_000, 100_000),
    "socket.nagle.disable": (False, True),
}


class Ceiling:
    name = "ceiling"
    description = "the pass-through with other settings, one changed at a time"
    quick = usual = False

    def steps(self, options: Options) -> int:
        return options.rounds * sum(len(variations(best)) for _, best in _SHAPES.values())

    def run(self, session: BenchSession) -> Outcome:
        options = session.options
        size = Size(options.messages, options.seed)
        cases = {
            f"{shape}: {name}": (variant, settings)
            for shape, (variant, best) in _SHAPES.items()
            for name, settings in variations(best).items()
        }
        found: dict[str, list[Measurement]] = {name: [] for name in cases}
        for name in session.turns(self.name, list(cases)):
            variant, settings = cases[name]
            found[name].append(drain_ceiling(session, variant, size, settings=settings))
        return Outcome(
            size=size_text(options.messages, "messages", options.workers, options.rounds),
            cases=[
                _case(name, rounds, found[f"{name.partition(':')[0]}: its own"])
                for name, rounds in found.items()
            ],
            notes=disturbances(found),
            raw={name: [asdict(each) for each in rounds] for name, rounds in found.items()},
        )


SCENARIO = Ceiling()


def variations(best: CeilingSettings) -> dict[str, CeilingSettings]:
    """Return these settings and each that differs from them in one value, by what differs."""
    found = {"its own": best}
    found["one batch after the other" if best.overlapped else "overlapped"] = replace(
        best, overlapped=not best.overlapped
    )
    for records in _RECORDS:
        found[f"{records:,} records"] = replace(best, records=records)
    for name, values in _CONSUMER.items():
        for value in values:
            found[f"{name}={value}"] = replace(best, consumer={**best.consumer, name: value})
    for name, values in _PRODUCER.items():
        for value in values:
            found[f"{name}={value}"] = replace(best, producer={**best.producer, name: value})
    return {name: settings for name, settings in found.items() if name == "its own" or settings != best}


def _case(name: str, rounds: list[Measurement], own: list[Measurement]) -> Case:
    costs = {metric.key: metric for metric in cost_metrics(rounds, "messages")}
    ratios = [other.rate / best.rate for other, best in zip(rounds, own, strict=True)]
    kept = [costs[key] for key in ("rate", "cpu_us_contender", "cpu_us", "peak_mb") if key in costs]
    return Case(name, [*kept, Metric("ratio", "ratio to its own settings", ratios, "more", None, 2)])
