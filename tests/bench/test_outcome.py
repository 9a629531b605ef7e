"""The arithmetic of figures, and how they are shown."""

import json
from pathlib import Path

import pytest

from bench.drain import Measurement
from bench.errors import BenchError
from bench.outcome import Case, Median, Metric, Outcome, latency_metrics, percentile
from bench.report import document, outcomes_of, read, write
from bench.scenarios.throughput import Variant, cost_metrics, disturbances, ratio_metrics
from bench.session import Options
from bench.tables import shown, table
from bench.tracker_process import tracker_settings
from bench.workload import Tree
from tracker.settings.model import available_cpus

OPTIONS = Options(rounds=2, messages=1_000, workers=2, seed=7, batch_size=10_000)
VARIANT = Variant("tracker", Tree, goal=0.8)


def measurement(
    seconds: float, *, contender: float = 0.004, others: float = 0.0, statements: int | None = 10
) -> Measurement:
    cpu = {"contender": contender, "broker": 0.003, "postgresql": 0.001, "bench": 0.0, "others": others}
    return Measurement(
        units=1_000,
        seconds=seconds,
        cpu_seconds=cpu,
        peak_bytes=200_000_000,
        wal_bytes=4_000,
        statements=statements,
        longest_statements=[],
        stage_seconds={"decode": seconds / 2, "fold": 0.0},
        timeline=[(0.0, 0), (seconds, 1_000)],
    )


def by_key(metrics: list[Metric]) -> Case:
    return Case("tracker", metrics)


def test_the_median_of_an_even_count_is_between_the_two_in_the_middle() -> None:
    median = Median.of([4.0, 1.0, 3.0, 2.0])

    assert (median.value, median.least, median.most) == (2.5, 1.0, 4.0)
    assert median.spread == pytest.approx(0.6)


def test_one_round_has_no_spread() -> None:
    assert Median.of([5.0]).spread == 0.0


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [(100, 0.5, 50), (100, 0.99, 99), (1_000, 0.99, 990), (1, 0.99, 1), (3, 0.5, 2), (10, 0.99, 10)],
)
def test_a_percentile_is_the_least_that_so_many_do_not_exceed(
    count: int, share: float, expected: int
) -> None:
    assert percentile([float(number) for number in range(1, count + 1)], share) == expected


def test_latencies_are_shown_in_milliseconds_round_by_round() -> None:
    case = by_key(latency_metrics([[0.003, 0.001, 0.002], [0.010]], goal_ms=(20, 100)))

    assert list(case["p50_ms"].values) == [2.0, 10.0]
    assert list(case["max_ms"].values) == [3.0, 10.0]
    assert case["p99_ms"].goal == 100


def test_the_ratio_is_taken_round_by_round_before_the_median() -> None:
    # A slow round slows both: its ratio is as good as any. The ratio of the medians would be 0.75.
    ceiling = [measurement(1.0), measurement(4.0), measurement(1.5)]
    tracker = [measurement(2.0), measurement(8.0), measurement(1.6)]

    ratio = by_key(ratio_metrics(ceiling, tracker, VARIANT))["ratio"].median

    assert (ratio.least, ratio.value, ratio.most) == pytest.approx((0.5, 0.5, 0.9375))


def test_costs_are_for_each_message() -> None:
    case = by_key(cost_metrics([measurement(2.0, contender=0.009)], "messages"))

    assert case["rate"].median.value == pytest.approx(500)
    assert case["cpu_us_contender"].median.value == pytest.approx(9.0)
    assert case["cpu_us_broker"].median.value == pytest.approx(3.0)
    assert case["cpu_us"].median.value == pytest.approx(13.0)
    assert case["wal_bytes"].median.value == pytest.approx(4.0)
    assert case["units_a_statement"].median.value == pytest.approx(100.0)


def test_a_metric_that_cannot_be_measured_is_left_out_instead_of_zero() -> None:
    elsewhere = measurement(2.0, statements=None)
    elsewhere = Measurement(**{**vars(elsewhere), "cpu_seconds": {"contender": 0.1, "others": 0.0}})
    elsewhere = Measurement(**{**vars(elsewhere), "wal_bytes": None})

    keys = {metric.key for metric in cost_metrics([elsewhere], "messages")}

    assert keys == {"rate", "cpu_us_contender", "peak_mb"}


def test_a_disturbance_is_a_share_of_all_cpus_in_the_worst_round() -> None:
    calm, disturbed = measurement(2.0, others=0.01), measurement(2.0, others=available_cpus() / 2)

    assert disturbances({"tracker": [calm]}) == []
    assert "used up to 25% of this machine's CPUs" in disturbances({"tracker": [calm, disturbed]})[0]


def outcome(values: list[float], *cases: str, goal: float | None = 0.8) -> Outcome:
    metric = Metric("ratio", "ratio to the ceiling", values, "more", goal, 2)
    return Outcome("1,000 messages", [Case(name, [metric]) for name in cases or ("tracker",)], raw={"a": 1})


def test_a_figure_is_shown_with_the_farthest_round() -> None:
    assert shown(Metric("rate", "messages/s", [1_000, 1_100, 950])) == "1,000 ±10%"
    assert shown(Metric("rate", "messages/s", [1_000, 1_001])) == "1,000"


def test_the_table_says_what_was_reached_and_what_was_missed() -> None:
    text = table("complete", "each completes", outcome([0.5]))

    assert "MISSED: tracker, ratio to the ceiling at least 0.80" in text
    assert "reached: tracker, ratio" in table("complete", "", outcome([0.9]))


def test_less_is_reached_by_less() -> None:
    metric = Metric("p50_ms", "p50 ms", [15.0], "less", 20)

    assert "reached: tracker, p50 ms at most 20" in table("", "", Outcome("", [Case("tracker", [metric])]))


def test_many_cases_are_rows() -> None:
    few = table("x", "", outcome([0.5], "a", "b")).splitlines()
    many = table("x", "", outcome([0.5], *"abcdef", goal=None)).splitlines()

    assert few[2].split() == ["a", "b"]
    assert [line.split()[0] for line in many[3:9]] == list("abcdef")


def test_the_file_says_under_which_conditions_it_was_measured(tmp_path: Path) -> None:
    settings = tracker_settings({"TRACKER_BATCH_SIZE": "5000"}, workers=2)

    path = write(document(OPTIONS, settings, {"kafka": "4.2.0"}, {"complete": outcome([0.5])}), tmp_path)

    written = json.loads(path.read_text())
    assert written["seed"] == 7
    assert written["settings"]["TRACKER_BATCH_SIZE"] == "5000"
    assert written["versions"]["kafka"] == "4.2.0"
    assert written["hardware"]["cpus"] >= 1
    assert written["scenarios"]["complete"]["cases"][0]["metrics"]["ratio"]["median"] == 0.5
    assert outcomes_of(read(path))["complete"] == outcome([0.5])


@pytest.mark.parametrize(
    ("text", "sentence"), [("{", "is not JSON"), ('{"format": 1}', "is not a file of this benchmark")]
)
def test_another_file_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text(text)

    with pytest.raises(BenchError, match=sentence):
        read(path)
    with pytest.raises(BenchError, match="cannot be read: No such file"):
        read(tmp_path / "none.json")
