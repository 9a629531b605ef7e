"""What `tracker job missing` prints, and its exit statuses."""

import json
import sys
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Command
from tests.support.applied_reports import Reports, open_reports
from tests.support.jobs import as_json

JOB = "acme:job"


@pytest.fixture
def reports(command: Command, database_url: str) -> Iterator[Reports]:
    """Reports on `acme:job`, which is stored."""
    command("job", "submit", stdin=json.dumps(as_json("job", partitionId="acme")).encode())
    with open_reports(database_url) as reports:
        yield reports


def test_json_is_one_range_a_line(command: Command, reports: Reports) -> None:
    reports.complete(f"{JOB}.2", f"{JOB}.3.2*")
    done = command("job", "missing", JOB, "--json")
    assert (done.status, done.err) == (0, "")
    assert done.lines == [
        '{"parent":"acme:job","first":1,"last":1,"count":1,"state":"missing"}',
        '{"parent":"acme:job.3","first":1,"last":1,"count":1,"state":"missing"}',
        '{"parent":"acme:job","first":4,"last":null,"count":null,"state":"unknown"}',
    ]


def test_text_is_a_table(command: Command, reports: Reports) -> None:
    reports.fail(f"{JOB}.2")
    assert command("job", "missing", JOB).lines == [
        "PARENT    FIRST  LAST  COUNT  STATE",
        "acme:job  1      1     1      missing",
        "acme:job  2      2     1      failed",
        "acme:job  3                   unknown",
    ]


def test_a_job_without_subtasks_is_one_row(command: Command, reports: Reports) -> None:
    assert command("job", "missing", JOB, "--json").lines == [
        '{"parent":null,"first":null,"last":null,"count":1,"state":"missing"}'
    ]
    reports.complete(JOB)
    for more in ([], ["--json"], ["--count"], ["--count", "--json"], ["--under", f"{JOB}.1"]):
        assert command("job", "missing", JOB, *more) == (0, "", "")


def test_below_one_task(command: Command, reports: Reports) -> None:
    reports.complete(f"{JOB}.2", f"{JOB}.3.2*")
    done = command("job", "missing", JOB, "--under", f"{JOB}.3", "--json")
    assert [each["parent"] for each in done.objects] == ["acme:job.3"]


def test_counted(command: Command, reports: Reports) -> None:
    reports.progress(f"{JOB}.100", f"{JOB}.102")
    assert command("job", "missing", JOB, "--count", "--json").objects == [
        {"state": "missing", "count": 100},
        {"state": "active", "count": 2},
        {"state": "unknown", "count": None},
    ]
    assert command("job", "missing", JOB, "--count").lines == [
        "STATE    TASKS",
        "missing  100",
        "active   2",
        "unknown",
    ]


def test_the_first_rows(command: Command, reports: Reports) -> None:
    reports.complete(*(f"{JOB}.{number}" for number in range(2, 3_001, 2)), f"{JOB}.3000*")
    more = "There are more than 2 rows; --limit 0 lists all.\n"
    for limit, length in ((2, 2), (1_500, 1_500), (1_501, 1_500), (0, 1_500)):
        done = command("job", "missing", JOB, "--limit", str(limit))
        assert (len(done.lines) - 1, done.err) == (length, more if limit == 2 else "")
        done = command("job", "missing", JOB, "--limit", str(limit), "--json")
        assert (len(done.lines), done.err) == (length, "")
    assert len(command("job", "missing", JOB).lines) == 1_501
    assert len(command("job", "missing", JOB, "--json").lines) == 1_500


def test_on_a_terminal_the_first_thousand(
    command: Command, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports.complete(*(f"{JOB}.{number}" for number in range(2, 3_001, 2)), f"{JOB}.3000*")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
    done = command("job", "missing", JOB)
    assert len(done.lines) == 1_001
    assert done.err == "There are more than 1,000 rows; --limit 0 lists all.\n"
    assert len(command("job", "missing", JOB, "--limit", "0").lines) == 1_501
    assert len(command("job", "missing", JOB, "--json").lines) == 1_500


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ([JOB + "x"], 1, "No such job: acme:jobx.\n"),
        (["acme:a:b"], 2, "the job ID has ':'"),
        ([JOB, "--under", "acme:other.1"], 2, "acme:other.1 is not a task of acme:job"),
        ([JOB, "--under", f"{JOB}.0"], 2, "a task index is a number from 1"),
        ([JOB, "--under", f"{JOB}.4"], 1, "Acme:job has only 3 subtasks, so it has no 4.\n"),
        ([JOB, "--count", "--limit", "3"], 2, "--count counts all tasks"),
        ([JOB, "--limit", "-1"], 2, "--limit"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    command: Command, reports: Reports, arguments: list[str], status: int, reason: str
) -> None:
    reports.complete(f"{JOB}.3*")
    done = command("job", "missing", *arguments)
    assert (done.status, done.out) == (status, "")
    assert reason in done.err
