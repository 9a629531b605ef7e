"""What takes more than a second says on a terminal that it works, and leaves nothing of it there."""

import json
from pathlib import Path

import pytest

from tests.support.terminal import run_on_terminal
from tracker.cli import progress_bar
from tracker.store.connect import connect
from tracker.store.migrate import migrate


def test_a_submit_that_waits_says_what_it_does(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "jobs"
    task = {"taskClassifier": "x", "taskApiVersion": 1, "taskData": "", "taskPipe": "work"}
    file.write_text(json.dumps({"partitionId": "acme", "id": "a", "task": task}))
    with connect(database_url) as connection:
        connection.execute("LOCK TABLE job")  # it waits until it has said so
        status, pictures = run_on_terminal(
            ["job", "submit", str(file)],
            lines=20,
            columns=100,
            once_drawn=connection.rollback,
            TRACKER_DATABASE_URL=database_url,
        )
    assert status == 0
    assert any("Storing 1 job ..." in line for picture in pictures for line in picture)
    assert pictures[-1] == ["Stored 1 job."]


def test_each_migration_is_named_when_it_begins(empty_database_url: str) -> None:
    begun: list[str] = []
    assert migrate(empty_database_url, begun.append) == begun


def test_what_is_quick_or_seen_by_nobody_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_bar, "_SHOWN_AFTER_S", 0.0)
    with progress_bar.working("Working ...") as say:
        say("Still working ...")
    assert capsys.readouterr() == ("", "")
