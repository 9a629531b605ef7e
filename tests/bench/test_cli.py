"""What a user sees who asks for something that cannot be."""

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
