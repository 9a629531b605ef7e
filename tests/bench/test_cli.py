"""What a user sees after wrong usage."""

from pathlib import Path

import pytest

from bench.cli import main
from bench.scenarios import SCENARIOS


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRACKER_KAFKA_BOOTSTRAP_SERVERS", "TRACKER_DATABASE_URL", "TRACKER_BATCH_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no-such"], f"there is no scenario 'no-such'; there are {', '.join(SCENARIOS)}"),
        (["--rounds", "0"], "argument --rounds: '0' is not a whole number above 0"),
        (["--messages", "many"], "argument --messages: 'many' is not a whole number above 0"),
        (["--workers", "-1"], "argument --workers: '-1' is not a whole number above 0"),
        (["--seed", "x"], "argument --seed: invalid int value: 'x'"),
        (["--fast"], "unrecognized arguments: --fast"),
        (["--minutes", "0"], "argument --minutes: '0' is not a number of minutes"),
    ],
)
def test_wrong_usage_is_a_sentence_and_status_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"python -m bench: error: {sentence}"


def test_a_wrong_variable_of_the_tracker_is_refused_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRACKER_BATCH_SIZE", "0")

    assert main(["complete"]) == 2
    assert "TRACKER_BATCH_SIZE" in capsys.readouterr().err


def test_help_lists_the_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    assert ended.value.code == 0
    assert "tasks in progress" in " ".join(capsys.readouterr().out.split())


def test_compare_and_draw_refuse_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    path.write_text("[]")

    assert main(["compare", str(path), str(path)]) == 1
    assert main(["draw", str(tmp_path / "none.json")]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"FAILED: {path} is not a file of this benchmark, or of another version of it.",
        f"FAILED: {tmp_path / 'none.json'} cannot be read: No such file or directory.",
    ]


def test_against_needs_to_know_which_servers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--against"]) == 2
    assert "TRACKER_KAFKA_BOOTSTRAP_SERVERS" in capsys.readouterr().err
