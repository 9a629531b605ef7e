"""Each scenario has pictures; without Matplotlib, a sentence says that there are none."""

import sys
from pathlib import Path
from typing import Any

import pytest

from bench.outcome import Case, Metric, Outcome, latency_metrics
from bench.pictures import draw
from bench.report import draw_beside

GRID = [(1, 0), (1, 5), (2, 0), (2, 5)]
FIGURES = {"seconds": 2.0, "stage_seconds": {"decode": 1.0, "publish": 0.5}}


def case(name: str, at: float | None = None, **values: float) -> Case:
    return Case(name, [Metric(key, key, [value, value * 1.1]) for key, value in values.items()], at)


def both(**values: float) -> list[Case]:
    costs = {"cpu_us_contender": 3.0, "cpu_us_broker": 2.0, "cpu_us_postgresql": 0.5}
    return [case("ceiling", rate=200.0, **costs), case("tracker", rate=100.0, ratio=0.4, **costs, **values)]


def sample(at_s: float, p50_ms: float | None) -> dict[str, Any]:
    tables = {"job": [8192, 10, 5]}
    return {"at_s": at_s, "p50_ms": p50_ms, "p99_ms": p50_ms, "most_memory_mb": 100.0, "tables": tables}


OUTCOMES = {
    "complete": Outcome("", both(), raw={"ceiling": [{}], "tracker": [FIGURES]}),
    "events": Outcome("", both(), raw={"ceiling": [{}], "tracker": [FIGURES]}),
    "peers": Outcome("", [*both(), *both()[1:]], raw={}),
    "fan-in": Outcome("", [case(f"{at:,}", at, us=1.0, start_us=1.0, end_us=1.1) for at in (1_000, 10_000)]),
    "latency": Outcome(
        "",
        [
            Case(f"{who}, {rate}/s", latency_metrics([[0.01, 0.02]]), rate)
            for who in ("ceiling", "tracker")
            for rate in (1_000, 10_000)
        ],
    ),
    "tuning": Outcome(
        "",
        [case(f"{size} {wait}", rate=float(size), p50_ms=1.0, p99_ms=2.0) for size, wait in GRID],
        raw=[{"batch_size": size, "wait_ms": wait, "workers": 1} for size, wait in GRID],
    ),
    "scale": Outcome(
        "",
        [
            case("workers: 1", 1, rate=1.0, ceiling_rate=2.0),
            case("workers: 2", 2, rate=2.0, ceiling_rate=3.0),
            case("finished jobs: 10", 10, rate=2.0),
        ],
        raw={},
    ),
    "soak": Outcome("", [case("soak", rate=1.0)], raw={"samples": [sample(5.0, 10.0), sample(10.0, None)]}),
}


@pytest.mark.parametrize(
    ("scenario", "pictures"),
    [
        ("complete", {"throughput", "cpu", "stages"}),
        ("events", {"throughput", "stages"}),
        ("peers", {"peers"}),
        ("fan-in", {"siblings"}),
        ("latency", {"latency"}),
        ("tuning", {"tuning"}),
        ("scale", {"scale"}),
        ("soak", {"soak"}),
    ],
)
def test_each_scenario_has_its_pictures(scenario: str, pictures: set[str], tmp_path: Path) -> None:
    drawn = draw({scenario: OUTCOMES[scenario]}, tmp_path / "run.json")

    assert {path.name for path in drawn} == {
        f"run-{name}.{ending}" for name in pictures for ending in ("svg", "png")
    }
    assert all(path.stat().st_size > 1_000 for path in drawn)


def test_all_at_once_and_names_are_in_the_picture(tmp_path: Path) -> None:
    draw(OUTCOMES, tmp_path / "run.json")

    assert "0.42 of the ceiling" in (tmp_path / "run-throughput.svg").read_text()


def test_what_was_not_measured_is_not_drawn(tmp_path: Path) -> None:
    assert draw({"release": Outcome("", [case("chain", rate=1.0)], raw={})}, tmp_path / "run.json") == []


def test_without_matplotlib_a_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "bench.pictures")
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    draw_beside(OUTCOMES, tmp_path / "run.json")

    assert capsys.readouterr().err == "There are no pictures, because Matplotlib is not installed.\n"
    assert list(tmp_path.iterdir()) == []
