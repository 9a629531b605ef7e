"""The page with the results of runs."""

from pathlib import Path

from bench.outcome import Case, Metric, Outcome
from bench.page import page
from bench.report import document, write
from bench.session import Options
from bench.tracker_process import tracker_settings

OPTIONS = Options(rounds=3, messages=1_000, workers=2, seed=7, batch_size=10_000)


def test_it_has_goals_pictures_and_all_figures(tmp_path: Path) -> None:
    rate = Metric("rate", "messages/s", (100, 110, 90), "more", 95)
    latency = Metric("p50_ms", "p50 ms", (21.0, 22.0, 20.5), "less", 20.0, 1)
    other = Metric("peak_mb", "most memory", (70,), "less")
    outcome = Outcome("1,000 messages", [Case("tracker", [rate, latency, other])])
    settings = tracker_settings({}, workers=2)
    path = write(document(OPTIONS, settings, {"kafka": "4.2.0"}, {"complete": outcome}), tmp_path)
    path.with_name(f"{path.stem}-throughput.svg").touch()

    text = page([path])

    assert f"python -m bench page {path.name}" in text
    assert "| `complete` | tracker | messages/s | at least 95 | 100 ±10% | reached |" in text
    assert "| `complete` | tracker | p50 ms | at most 20.0 | 21.0 ±5% | **missed** |" in text
    assert f"![throughput]({path.stem}-throughput.svg)" in text
    assert "most memory" in text
    assert "kafka 4.2.0" in text
