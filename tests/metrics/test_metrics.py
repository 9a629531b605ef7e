"""The catalogue of metrics, the recorder, and how the numbers of several processes are added up."""

import pickle
import threading
from pathlib import Path

import pytest

from tracker import metrics
from tracker.metrics import CATALOGUE, Kind, Recorder, Snapshot
from tracker.supervisor.totals import Totals, merge

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def recorded(*amounts: float) -> Snapshot:
    recorder = Recorder()
    for amount in amounts:
        recorder.add(metrics.BATCHES, amount)
        recorder.observe(metrics.BATCH_RECORDS, amount)
        recorder.set(metrics.LAG, amount, topic="tracking", kafka_partition="0")
    return recorder.snapshot()


def test_the_page_lists_the_catalogue() -> None:
    assert PAGE.read_text(encoding="utf-8") == metrics.reference(), (
        "run: python -m tracker.metrics > docs/metrics.md"
    )


def test_every_metric_is_named_and_described_in_the_same_way() -> None:
    for name, metric in CATALOGUE.items():
        assert name == metric.name
        assert name.startswith("tracker_")
        assert not name.endswith(("_total", "_count", "_sum", "_bucket"))
        assert metric.help.endswith(".")
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
        assert list(metric.buckets) == sorted(metric.buckets)
    assert len(CATALOGUE) == len(
        [value for value in vars(metrics).values() if isinstance(value, metrics.Metric)]
    )


def test_counters_add_gauges_replace_and_histograms_count() -> None:
    snapshot = recorded(1, 2, 5000)
    assert snapshot["tracker_batches"] == {(): (5003.0,)}
    assert snapshot["tracker_lag_records"] == {("tracking", "0"): (5000.0,)}
    (numbers,) = snapshot["tracker_batch_records"].values()
    assert numbers[:2] == (1.0, 1.0)  # 1 is in the bucket up to 1, 2 in the one up to 3
    assert numbers[-1] == 5003.0
    assert sum(numbers[:-1]) == 3


def test_labels_are_in_the_order_of_the_catalogue_however_they_are_given() -> None:
    recorder = Recorder()
    recorder.add(metrics.MESSAGES, outcome="forwarded", kind="proxied")
    recorder.add(metrics.MESSAGES, kind="proxied", outcome="forwarded")
    assert recorder.snapshot()["tracker_messages"] == {("proxied", "forwarded"): (2.0,)}


def test_a_value_that_is_not_listed_makes_no_series_of_its_own() -> None:
    recorder = Recorder()
    for value in ("x", "y"):
        recorder.add(metrics.DROPS, reason=value)
    assert recorder.snapshot()["tracker_drops"] == {("other",): (2.0,)}


@pytest.mark.parametrize("labels", [{}, {"kind": "event"}, {"reason": "failed", "kind": "event"}])
def test_wrong_labels_are_a_mistake(labels: dict[str, str]) -> None:
    with pytest.raises(TypeError, match="tracker_drops has the labels"):
        Recorder().add(metrics.DROPS, 1, **labels)


def test_a_gauge_can_be_taken_away() -> None:
    recorder = Recorder()
    recorder.set(metrics.LAG, 1, topic="tracking", kafka_partition="0")
    recorder.remove(metrics.LAG, topic="tracking", kafka_partition="0")
    recorder.remove(metrics.LAG, topic="tracking", kafka_partition="1")
    assert recorder.snapshot() == {"tracker_lag_records": {}}


def test_threads_lose_no_counts() -> None:
    recorder = Recorder()

    def count() -> None:
        for _ in range(5_000):
            recorder.add(metrics.BATCHES)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.snapshot()["tracker_batches"] == {(): (40_000.0,)}


def test_a_snapshot_is_a_copy_that_goes_through_a_pipe() -> None:
    recorder = Recorder()
    recorder.add(metrics.BATCHES)
    snapshot = recorder.snapshot()
    recorder.add(metrics.BATCHES)
    assert pickle.loads(pickle.dumps(snapshot)) == {"tracker_batches": {(): (1.0,)}}


def test_several_processes_are_added_up() -> None:
    both = merge([recorded(1, 2), recorded(10)])
    assert both["tracker_batches"] == {(): (13.0,)}
    assert both["tracker_lag_records"] == {("tracking", "0"): (10.0,)}
    (numbers,) = both["tracker_batch_records"].values()
    assert sum(numbers[:-1]) == 3
    assert numbers[-1] == 13.0


def test_a_restart_keeps_the_counts_and_forgets_the_gauges() -> None:
    totals = Totals()
    totals.update("worker-0", recorded(5))
    totals.update("worker-0", recorded(5, 7))
    totals.retire("worker-0")
    assert totals.snapshot()["tracker_batches"] == {(): (12.0,)}
    assert "tracker_lag_records" not in totals.snapshot()
    totals.update("worker-0", recorded(1))
    assert totals.snapshot()["tracker_batches"] == {(): (13.0,)}
    totals.retire("worker-0")
    totals.retire("worker-0")
    assert totals.snapshot()["tracker_batches"] == {(): (13.0,)}
