"""What `tracker job watch` prints without a terminal, and draws on one; its exit statuses."""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from tests.cli.conftest import Command
from tests.support.applied_reports import Reports, open_reports
from tests.support.jobs import job
from tests.support.terminal import run_on_terminal
from tracker import Client

JOB = "acme:job"


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with Client(database_url) as client:
        client.submit([job("job", partition_id="acme")])
        yield client


@pytest.fixture
def reports(client: Client, database_url: str) -> Iterator[Reports]:
    """Reports on `acme:job`, which is stored."""
    with open_reports(database_url) as reports:
        yield reports


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Do something, once, between the first look and the second."""

    def start(act: Callable[[], object]) -> None:
        acts = [act]

        def sleep(_: float) -> None:
            if acts:
                acts.pop()()

        monkeypatch.setattr("tracker.client.time", SimpleNamespace(sleep=sleep))

    return start


def test_json_is_one_object_a_change(
    command: Command, reports: Reports, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    reports.complete(f"{JOB}.1", f"{JOB}.2")
    meanwhile(lambda: reports.complete(f"{JOB}.3*"))
    done = command("job", "watch", JOB, "--json")
    assert (done.status, done.err) == (0, "")
    first, last = done.objects
    assert first.pop("time") <= last.pop("time")
    assert first == {
        "partitionId": "acme",
        "id": "job",
        "status": "Active",
        "percentageComplete": 66.67,
        "estimate": True,
        "tasksPerSecond": None,
        "percentPerSecond": None,
        "timeLeft": None,
        "asOf": None,
        "lagRecords": None,
    }
    assert last == first | {"status": "Completed", "percentageComplete": 100.0, "estimate": False}


def test_text_is_one_line_a_change(
    command: Command, reports: Reports, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    reports.complete(f"{JOB}.1", f"{JOB}.2")
    meanwhile(lambda: reports.complete(f"{JOB}.3*"))
    done = command("job", "watch", JOB)
    assert (done.status, done.err) == (0, "")
    assert done.lines == ["acme:job: Active, ~66.67 %", "acme:job: Completed, 100.00 %"]


def test_what_a_job_waits_for(
    command: Command, client: Client, reports: Reports, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    client.submit([job("next", "job", "other", partition_id="acme")])
    meanwhile(lambda: client.cancel("acme:next"))
    done = command("job", "watch", "acme:next", "--prerequisites")
    assert (done.status, done.err) == (1, "")
    assert done.lines[0] == "acme:next: Waiting, 0.00 %"
    assert sorted(done.lines[1:3]) == ["acme:job: Waiting, 0.00 %", "acme:other: not stored, 0.00 %"]
    assert done.lines[3:] == ["acme:next: Cancelled, 0.00 %"]


def test_exit_statuses_are_those_of_wait(command: Command, client: Client, reports: Reports) -> None:
    done = command("job", "watch", JOB, "--timeout", "0")
    assert (done.status, done.out) == (3, "acme:job: Waiting, 0.00 %\n")
    assert done.err == "Not ended after 0 s: acme:job.\n"
    done = command("job", "watch", JOB, "nowhere")
    assert (done.status, done.out, done.err) == (1, "", "No such job: default:nowhere.\n")
    assert command("job", "watch", "a:b:c").status == 2
    client.submit([job("job")])
    client.cancel("job")
    reports.complete(JOB)
    assert command("job", "watch", JOB).status == 0
    assert command("job", "watch", JOB, "job").status == 1


def test_bars_on_a_terminal_and_never_more_lines_than_it_has(client: Client, database_url: str) -> None:
    names = [f"number-{number}" for number in range(20)]
    client.submit([job(name) for name in names])
    status, pictures = run_on_terminal(
        ["job", "watch", *names],
        lines=8,
        columns=80,
        once_drawn=lambda: client.cancel(names),
        TRACKER_DATABASE_URL=database_url,
    )
    assert status == 1
    drawn = [picture for picture in pictures if any("number-" in line for line in picture)]
    assert len(drawn) >= 2
    assert all(len(picture) <= 8 for picture in drawn)
    assert all(len(line) <= 80 for picture in drawn for line in picture)
    first, last = drawn[0], drawn[-1]
    assert first[0].split() == ["JOB", "%", "STATUS", "RATE", "LEFT"]
    assert [line.split()[0] for line in first[1:6]] == [f"default:number-{number}" for number in range(5)]
    assert "Waiting" in first[1]
    assert first[6:] == ["and 15 more; of 20 jobs, 20 Waiting"]
    assert "Cancelled" in last[1]
    assert last[6] == "and 15 more; of 20 jobs, 20 Cancelled"


@pytest.mark.parametrize(("lines", "columns"), [(24, 80), (3, 30), (24, 200)])
def test_a_terminal_of_any_size(client: Client, database_url: str, lines: int, columns: int) -> None:
    long = "a-very-long-name-of-a-job-that-leaves-no-room"
    client.submit([job(long), job("short")])
    client.cancel([long, "short"])
    status, pictures = run_on_terminal(
        ["job", "watch", long, "short"], lines=lines, columns=columns, TRACKER_DATABASE_URL=database_url
    )
    assert status == 1
    assert all(len(picture) <= lines for picture in pictures)
    assert all(len(line) <= columns for picture in pictures for line in picture)
    assert (f"default:{long}" in pictures[-1][1]) == (columns == 200)
    assert ("Cancelled" in pictures[-1][1]) == (columns >= 80)


def test_json_on_a_terminal_is_json(client: Client, database_url: str) -> None:
    client.cancel(JOB)
    status, pictures = run_on_terminal(
        ["job", "watch", JOB, "--json"], lines=24, columns=200, TRACKER_DATABASE_URL=database_url
    )
    assert status == 1
    assert json.loads("".join(pictures[0]))["status"] == "Cancelled"
