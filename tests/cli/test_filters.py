"""`tracker job list` and `count` with a filter."""

import json
import subprocess
import sys
from contextlib import closing

import pytest

from tests.cli.conftest import Command
from tests.support.jobs import as_json
from tracker.jobs import query
from tracker.store.connect import connect


@pytest.fixture
def jobs(command: Command) -> Command:
    """Three jobs of two partition IDs."""
    new = [
        as_json("a1", partitionId="p", name="Import", labels={"owner": "ann"}),
        as_json("a2", partitionId="p", labels={"owner": "bob"}),
        as_json("b1", partitionId="q", name="It's", labels={"owner": "bob"}),
    ]
    command("job", "submit", stdin="\n".join(map(json.dumps, new)).encode())
    return command


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--filter", "id==a*"), {"a1", "a2"}),
        (("--filter", 'name=="It\'s"'), {"b1"}),
        (("--filter", "labels.owner=in=(ann,bob)", "--partition", "p"), {"a1", "a2"}),
        (
            ("--filter", "labels.owner==bob,name==Import", "--prefix", "a", "--status", "waiting"),
            {"a1", "a2"},
        ),
        (("--filter", "labels.owner==bob", "--label", "owner=ann"), set()),
    ],
)
def test_a_filter_is_added_to_the_other_options(
    jobs: Command, arguments: tuple[str, ...], expected: set[str]
) -> None:
    assert {found["id"] for found in jobs("job", "list", "--json", *arguments).objects} == expected
    assert jobs("job", "count", *arguments).objects == [{"count": len(expected)}]


def test_jobs_that_wait_for_one_are_listed_and_changed(command: Command) -> None:
    new = [as_json("a"), as_json("b", prerequisiteJobIds=["a"]), as_json("c", prerequisiteJobIds=["b"])]
    command("job", "submit", stdin="\n".join(map(json.dumps, new)).encode())
    waiting = ("--waiting-for", "default:a")
    for arguments, expected in ((waiting, ["b"]), ((*waiting, "--transitive"), ["b", "c"])):
        found = command("job", "list", "--json", "--sort", "id", *arguments).objects
        assert [each["id"] for each in found] == expected
        assert command("job", "count", *arguments).objects == [{"count": len(expected)}]
    [found, end] = command("job", "list", "--json", "--paged", "--limit", "1", *arguments).objects
    rest = command("job", "list", "--json", "--paged", "--limit", "1", "--after", end["next"], *arguments)
    assert ([found["id"], rest.objects[0]["id"]], rest.objects[1]) == (["c", "b"], {"next": None})
    pause = ("job", "pause", "--all-matching")
    assert command(*pause, *waiting, "--transitive").out == "Paused 2 of 2 jobs.\n"
    assert command("job", "cancel", "--all-matching", *waiting).out == "Cancelled 1 of 1 job.\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("list", "--transitive"), "--transitive is for --waiting-for"),
        (("list", "--waiting-for", "a:b:c"), "the job ID has ':'"),
        (("cancel", "a", "--waiting-for", "b"), "--waiting-for and --transitive are for --all-matching"),
        (
            ("cancel", "--all-matching", "--waiting-for", "a", "--transitive"),
            "job cancel --cascade JOB",
        ),
        (
            ("delete", "--all-matching", "--waiting-for", "a", "--transitive"),
            "job cancel --cascade JOB",
        ),
    ],
)
def test_a_job_that_is_waited_for_is_checked(
    bare_command: Command, arguments: tuple[str, ...], text: str
) -> None:
    done = bare_command("job", *arguments)
    assert (done.status, done.out, len(done.err_lines)) == (2, "", 1)
    assert text in done.err


@pytest.mark.parametrize("command_name", ["list", "count"])
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--filter", ""), "expected a field or (, found the end"),
        (("--filter", "status==Failed;;"), "the filter is wrong at column 16: expected a field or ("),
        (("--filter", "name=='\n"), "the text in quotes that begins here does not end"),
        (("--prefix", "\udcff"), "half a character"),
        (("--label", "\udcff"), "half a character"),
        (("--filter", "id==\udcff"), "half a character"),
    ],
)
def test_a_bad_filter_is_wrong_usage(
    bare_command: Command, command_name: str, arguments: tuple[str, ...], text: str
) -> None:
    done = bare_command("job", command_name, *arguments)
    assert (done.status, done.out) == (2, "")
    assert text in done.err
    assert len(done.err_lines) == 1


def test_a_count_that_is_estimated_says_so(
    jobs: Command, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "ESTIMATED_FROM", 3)
    with closing(connect(database_url, autocommit=True)) as connection:
        connection.execute("VACUUM ANALYZE job")
    assert jobs("job", "count").objects == [{"count": 3, "estimate": True}]
    assert jobs("job", "count", "--exact").objects == [{"count": 3}]
    assert jobs("job", "count", "--partition", "p").objects == [{"count": 2}]


def test_pages(jobs: Command) -> None:
    first = jobs("job", "list", "--json", "--paged", "--limit", "2", "--sort", "id").objects
    assert [found.get("id") for found in first] == ["a1", "a2", None]
    after = first[-1]["next"]
    rest = jobs("job", "list", "--json", "--paged", "--limit", "2", "--sort", "id", "--after", after).objects
    assert [found.get("id") for found in rest] == ["b1", None]
    assert rest[-1] == {"next": None}
    assert jobs("job", "list", "--json", "--sort", "id", "--after", after).objects == rest[:-1]
    assert jobs("job", "list", "--paged", "--limit", "1").lines[-1].startswith('{"next":"')


def test_a_bad_cursor_is_wrong_usage(jobs: Command, bare_command: Command) -> None:
    cursor = jobs("job", "list", "--json", "--paged", "--limit", "1").objects[-1]["next"]
    for arguments, text in (
        (("--after", "x"), "'x' is not a cursor that a list has given"),
        (
            ("--after", cursor, "--sort", "id"),
            "of a list sorted by -createTime, and this list is sorted by id",
        ),
    ):
        done = bare_command("job", "list", *arguments)
        assert (done.status, done.out) == (2, "")
        assert text in done.err


def test_a_command_without_a_filter_does_not_load_the_parser() -> None:
    program = """
import sys
from tracker.cli import main
sys.argv = ["tracker", "job", *sys.argv[1:]]
main()
print("lark" in sys.modules)
"""
    for arguments, loaded in (
        (["show", "a"], False),
        (["list", "--status", "Failed"], False),
        (["list", "--filter", "x"], True),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True,
            text=True,
            env={"TRACKER_DATABASE_URL": "postgresql://u@127.0.0.1:1/x"},
            check=True,
        )
        assert done.stdout.strip() == str(loaded)
