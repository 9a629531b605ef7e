"""`tuning`: `complete` and `latency` over batch size, maximum wait for a batch, and workers."""

from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from bench.drain import Measurement
from bench.outcome import Case, Metric, Outcome, latency_metrics, rounds_text
from bench.scenarios.complete import COMPLETE
from bench.scenarios.latency import FlowResult, measure_tracker
from bench.scenarios.throughput import cost_metrics, drain_tracker
from bench.session import BenchSession, Options
from bench.workload import Size
from tracker.settings.model import available_cpus

_BATCH_SIZES = (1_000, 3_000, 10_000, 30_000)
_WAITS_MS = (0, 5, 20, 50)
_RATE = 2_000  # at which latency is measured
_SECONDS, _QUICK_SECONDS = 8, 2


@dataclass(frozen=True)
class TuningPoint:
    """The settings of one measurement."""

    batch_size: int
    wait_ms: int
    workers: int

    @property
    def name(self) -> str:
        """What a table calls it."""
        return f"{self.batch_size:,} messages, {self.wait_ms} ms, {self.workers} workers"

    @property
    def variables(self) -> dict[str, str]:
        """The variables that the tracker is run with."""
        return {"TRACKER_BATCH_SIZE": str(self.batch_size), "TRACKER_BATCH_WAIT_MS": str(self.wait_ms)}


class Tuning:
    name = "tuning"
    description = "complete and latency over batch size, wait and workers"
    quick = usual = False

    def points(self, options: Options) -> list[TuningPoint]:
        """Return the settings to measure."""
        sizes, waits = list(_BATCH_SIZES), list(_WAITS_MS)
        workers = {1, options.workers, available_cpus()}
        if options.quick:
            sizes, waits, workers = sizes[:3:2], waits[2:3], {options.workers}
        return [TuningPoint(*each) for each in product(sizes, waits, sorted(workers))]

    def steps(self, options: Options) -> int:
        return options.rounds * len(self.points(options))

    def run(self, session: BenchSession) -> Outcome:
        options = session.options
        points = self.points(options)
        size = Size(options.messages, options.seed)
        seconds = _QUICK_SECONDS if options.quick else _SECONDS
        drained: dict[TuningPoint, list[Measurement]] = {point: [] for point in points}
        flowed: dict[TuningPoint, list[FlowResult]] = {point: [] for point in points}
        by_name = {point.name: point for point in points}
        for name in session.turns(self.name, list(by_name)):
            point = by_name[name]
            given: dict[str, Any] = {"workers": point.workers, "variables": point.variables}
            drained[point].append(drain_tracker(session, COMPLETE, size, **given))
            flowed[point].append(measure_tracker(session, [_RATE], seconds, **given)[_RATE])
        return Outcome(
            size=f"{options.messages:,} messages at full speed, then {_RATE:,}/s for {seconds} s,"
            f" {rounds_text(options.rounds)}; results verified",
            cases=[_case(point, drained[point], flowed[point]) for point in points],
            raw=[asdict(point) for point in points],
        )


SCENARIO = Tuning()


def _case(point: TuningPoint, drained: list[Measurement], flowed: list[FlowResult]) -> Case:
    costs = {metric.key: metric for metric in cost_metrics(drained, "messages")}
    kept = [costs[key] for key in ("rate", "cpu_us", "peak_mb") if key in costs]
    latencies: list[Metric] = latency_metrics([each.latencies for each in flowed])
    return Case(point.name, [*kept, *latencies])
