"""The summary of a run: its conditions, the command that repeats it, and each figure in every round."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cli import _parse, main
from bench.compare import compare
from bench.outcome import Case, Metric, Outcome
from bench.page import page
from bench.report import document, outcomes_of, read, write
from bench.run import options_of
from bench.scenarios import usual_names
from bench.session import Options
from bench.summary import command, summary, write_summary
from bench.tracker_process import tracker_settings

OPTIONS = Options(rounds=3, messages=1_000_000, workers=2, seed=7, batch_size=10_000, minutes=10.0)
RATE = Metric("rate", "messages/s", (100.0, 110.0, 123.456_789_012), "more", 95.0)
WAL = Metric("wal_bytes", "WAL bytes/message", (0.477_312, 0.533_944, 0.475_376), "less", None, 1)


def content_of(
    *names: str, options: Options = OPTIONS, environ: dict[str, str] | None = None, points: int = 3
) -> dict[str, Any]:
    """Return the content of the file of a run of these scenarios."""
    raw = {"tracker": [{"timeline": [[second, second] for second in range(points)]}]}
    outcome = Outcome("1,000 messages", [Case("tracker", [RATE, WAL], at=2.0)], ["A note."], raw)
    settings = tracker_settings(environ or {}, options.workers)
    versions = {"kafka": "4.2.0", "postgresql": "15.18"}
    return document(options, settings, versions, dict.fromkeys(names or ("complete",), outcome))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a run, with its summary beside it."""
    content = content_of()
    path = write(content, tmp_path)
    write_summary(content, path)
    return path


def summary_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}.summary.json")


def test_it_has_the_conditions_of_the_run() -> None:
    content = content_of(environ={"TRACKER_BATCH_SIZE": "5000"})

    found = summary(content)

    assert found["versions"]["kafka"] == "4.2.0"
    assert found["versions"]["postgresql"] == "15.18"
    assert found["hardware"]["cpus"] >= 1
    assert found["settings"]["TRACKER_BATCH_SIZE"] == "5000"
    assert found["seed"] == 7
    assert found["options"]["rounds"] == 3
    assert {name: found[name] for name in ("time", "commit")} == {
        name: content[name] for name in ("time", "commit")
    }


def test_each_figure_has_its_median_its_spread_and_every_round() -> None:
    scenario = summary(content_of())["scenarios"]["complete"]
    (case,) = scenario["cases"]

    assert (scenario["size"], scenario["notes"]) == ("1,000 messages", ["A note."])
    assert (case["name"], case["at"]) == ("tracker", 2.0)
    assert case["metrics"]["rate"] == {
        "label": "messages/s",
        "median": 110.0,
        "spread": 0.1223,  # the farthest round
        "values": [100.0, 110.0, 123.45679],
        "better": "more",
        "digits": 0,
        "goal": 95.0,
    }
    assert case["metrics"]["wal_bytes"]["values"] == [0.477312, 0.533944, 0.475376]
    assert "goal" not in case["metrics"]["wal_bytes"]


def test_a_figure_has_a_line_and_raw_figures_have_none(path: Path) -> None:
    lines = summary_of(path).read_text(encoding="utf-8").splitlines()

    assert len([line for line in lines if '"rate"' in line and '"values": [' in line]) == 1
    assert "timeline" in path.read_text()
    assert not any("timeline" in line for line in lines)


def test_its_size_does_not_depend_on_the_length_of_the_run(tmp_path: Path) -> None:
    content = content_of(*usual_names(quick=False), points=10_000)

    lines = write_summary(content, tmp_path / "run.json").read_text(encoding="utf-8").splitlines()

    assert len(lines) < 50 + 15 * len(usual_names(quick=False))


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (usual_names(quick=False), OPTIONS, "--rounds 3 --messages 1000000 --workers 2 --seed 7"),
        (["complete"], OPTIONS, "complete --rounds 3 --messages 1000000 --workers 2 --seed 7"),
        (
            usual_names(quick=True),
            replace(OPTIONS, quick=True, against=True, rounds=1),
            "--against --quick --rounds 1 --messages 1000000 --workers 2 --seed 7",
        ),
        (
            ["scale", "soak"],
            replace(OPTIONS, full=True, minutes=0.5),
            "scale soak --full --rounds 3 --messages 1000000 --workers 2 --seed 7 --minutes 0.5",
        ),
    ],
)
def test_the_command_repeats_the_run(names: list[str], options: Options, words: str) -> None:
    found = command(content_of(*names, options=options))

    assert found == f"python -m bench {words}"
    parsed = _parse(shlex.split(found)[3:])
    assert parsed.scenarios in (names, [])
    assert options_of(parsed, options.batch_size) == options


def test_the_command_sets_the_variables_that_were_set_and_shows_no_password() -> None:
    environ = {
        "TRACKER_BATCH_SIZE": "5000",
        "TRACKER_KAFKA_SASL_PASSWORD": "hunter2",
        "TRACKER_KAFKA_CLIENT_ID": "a b",
    }

    found = command(content_of(environ=environ))

    assert "TRACKER_BATCH_SIZE=5000 " in found
    assert "TRACKER_KAFKA_CLIENT_ID='a b' " in found
    assert "TRACKER_KAFKA_SASL_PASSWORD='***' " in found
    assert "TRACKER_WORKERS" not in found  # the option says it


def test_a_summary_says_the_same_on_a_page_as_the_file_of_the_run(path: Path) -> None:
    of_summary, of_run = page([summary_of(path)]), page([path])

    assert of_summary.replace(".summary.json", ".json") == of_run
    assert f"## {path.stem}\n" in of_summary
    assert "123" not in of_summary  # the median is shown, and no round
    assert "110 ±12%" in of_summary


def test_a_summary_can_be_compared(path: Path) -> None:
    slower = content_of()
    slower["scenarios"]["complete"]["cases"][0]["metrics"]["wal_bytes"]["values"] = [9.0, 9.1, 9.2]

    text = compare(read(summary_of(path)), slower)

    assert text == compare(read(path), slower)
    assert "complete, tracker: WAL bytes/message" in text


@pytest.mark.parametrize("command", ["draw", "summarize"])
def test_a_summary_is_refused_where_raw_figures_are_needed(
    command: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(summary_of(path))]) == 1

    assert f"FAILED: {summary_of(path)} is a summary" in capsys.readouterr().err


def test_a_summary_can_be_made_later(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = summary_of(path).read_bytes()
    summary_of(path).unlink()

    assert main(["summarize", str(path)]) == 0

    assert summary_of(path).read_bytes() == written
    assert capsys.readouterr().out == f"{summary_of(path)}\n"


def test_a_file_of_an_older_version_can_still_be_read(tmp_path: Path) -> None:
    content = content_of()
    metric = content["scenarios"]["complete"]["cases"][0]["metrics"]["rate"]
    metric["reach"] = metric.pop("goal")
    del content["options"]["against"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(content | {"format": 2}))

    found = read(path)

    assert outcomes_of(found)["complete"].case("tracker")["rate"].goal == 95.0
    assert command(found) == command(content_of())
