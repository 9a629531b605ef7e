"""The metrics of all processes of one ``tracker run``, added up."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from tracker.metrics import CATALOGUE, Kind, Metric, Recorder, Series, Snapshot


class Totals:
    """Adds up what processes have recorded. Any thread may call any method.

    `own` is the recorder of this process.
    """

    def __init__(self) -> None:
        self.own = Recorder()
        self._lock = threading.Lock()
        self._living: dict[str, Snapshot] = {}
        self._dead: Snapshot = {}

    def update(self, process: str, snapshot: Snapshot) -> None:
        """Set `snapshot` as all that `process` has recorded so far."""
        with self._lock:
            self._living[process] = snapshot

    def retire(self, process: str) -> None:
        """Keep the counts of a process that has ended, and drop its gauges; it may start again at 0."""
        with self._lock:
            snapshot = self._living.pop(process, {})
            counted = {
                name: series for name, series in snapshot.items() if CATALOGUE[name].kind is not Kind.GAUGE
            }
            self._dead = merge([self._dead, counted])

    def living(self) -> dict[str, Snapshot]:
        """Return what each living process has recorded so far."""
        with self._lock:
            return dict(self._living)

    def snapshot(self) -> Snapshot:
        """Return the sums as they are now."""
        with self._lock:
            return merge([self._dead, *self._living.values(), self.own.snapshot()])


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Add up snapshots. If several processes report a gauge, the highest value counts."""
    merged: Snapshot = {}
    for snapshot in snapshots:
        for name, series in snapshot.items():
            _merge_series(CATALOGUE[name], merged.setdefault(name, {}), series)
    return merged


def _merge_series(metric: Metric, into: Series, series: Series) -> None:
    for key, numbers in series.items():
        before = into.get(key)
        if before is None:
            into[key] = numbers
        elif metric.kind is Kind.GAUGE:
            into[key] = max(before, numbers)
        else:
            into[key] = tuple(one + other for one, other in zip(before, numbers, strict=True))


class TotalsCollector(Collector):
    """Passes the totals to prometheus_client."""

    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def collect(self) -> Iterator[Family]:
        """Yield each metric of the catalogue with its numbers, counters from the beginning with 0."""
        snapshot = self._totals.snapshot()
        for metric in CATALOGUE.values():
            series = snapshot.get(metric.name, {})
            if metric.kind is Kind.COUNTER:
                series = dict.fromkeys(metric.zeros(), (0.0,)) | series
            yield _family(metric, series)


def _family(metric: Metric, series: Series) -> Family:
    labels = [label.name for label in metric.labels]
    match metric.kind:
        case Kind.COUNTER:
            counter = CounterMetricFamily(metric.name, metric.help, labels=labels)
            for key, (number,) in series.items():
                counter.add_metric(key, number)
            return counter
        case Kind.GAUGE:
            gauge = GaugeMetricFamily(metric.name, metric.help, labels=labels)
            for key, (number,) in series.items():
                gauge.add_metric(key, number)
            return gauge
        case Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(metric.name, metric.help, labels=labels)
            for key, numbers in series.items():
                histogram.add_metric(key, _cumulative(metric, numbers), sum_value=numbers[-1])
            return histogram


def _cumulative(metric: Metric, numbers: tuple[float, ...]) -> list[tuple[str, float]]:
    total = 0.0
    buckets = []
    for bound, count in zip((*map(str, metric.buckets), "+Inf"), numbers[:-1], strict=True):
        total += count
        buckets.append((bound, total))
    return buckets
