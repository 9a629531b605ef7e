"""`tracker job cancel` and its like: all that match, and those that can be."""

import json
import os
import pwd
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.cli.conftest import Command
from tests.support.jobs import as_json


@pytest.fixture
def jobs(command: Command) -> Command:
    """Five jobs, one of which is cancelled."""
    new = [as_json(f"j{number}", labels={"number": str(number)}) for number in range(5)]
    command("job", "submit", stdin="\n".join(map(json.dumps, new)).encode())
    command("job", "cancel", "j0")
    return command


def statuses(command: Command) -> list[str]:
    return [each["status"] for each in command("job", "list", "--sort", "id", "--json").objects]


def test_all_that_match_are_changed_and_counted(jobs: Command) -> None:
    done = jobs("job", "pause", "--all-matching", "--filter", "id>j2")
    assert done == (0, "Paused 2 of 2 jobs.\n", "")
    assert jobs("job", "resume", "--all-matching", "--json", "--status", "Paused").lines == [
        '{"matched":2,"changed":2,"skipped":0}'
    ]
    assert jobs("job", "cancel", "--all-matching", "--prefix", "j").lines == [
        "Cancelled 4 of 5 jobs; 1 was skipped."
    ]
    assert jobs("job", "retry", "--all-matching").lines == ["Started again 0 of 5 jobs; 5 were skipped."]
    assert statuses(jobs) == ["Cancelled"] * 5
    assert jobs("job", "delete", "--all-matching", "--label", "number=3", "--partition", "default").lines == [
        "Deleted 1 of 1 job."
    ]
    assert len(statuses(jobs)) == 4


@pytest.mark.parametrize("answer", ["y", "n", ""])
def test_on_a_terminal_it_asks(jobs: Command, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.cli.asking.is_terminal", lambda: True)
    done = jobs("job", "delete", "--all-matching", "--filter", "id>j1", stdin=answer.encode() + b"\n")
    assert done.err.startswith("Delete 3 jobs? [y/N] ")
    if answer == "y":
        assert (done.status, done.out) == (0, "Deleted 3 of 3 jobs.\n")
    else:
        assert (done.status, done.out) == (1, "")
        assert done.err.endswith("Nothing was deleted.\n")
    assert len(statuses(jobs)) == (2 if answer == "y" else 5)


def test_yes_names_and_nothing_that_matches_ask_nothing(
    jobs: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.cli.asking.is_terminal", lambda: True)
    assert jobs("job", "pause", "j1") == (0, "default:j1: paused\n", "")
    assert jobs("job", "pause", "--all-matching", "--status", "Active").out == "Paused 0 of 0 jobs.\n"
    assert jobs("job", "cancel", "--all-matching", "--yes").out == "Cancelled 4 of 5 jobs; 1 was skipped.\n"


def press_at(step: int, times: int) -> Callable[[str, int | None], object]:
    """Return a bar at which somebody presses Ctrl-C when it is shown for the so-manieth time."""

    @contextmanager
    def bar(_doing: str, _total: int | None) -> Iterator[Callable[[int], None]]:
        shown = 0

        def show(_done: int) -> None:
            nonlocal shown
            shown += 1
            if shown == step:
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)

        yield show

    return bar


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_says_how_many_are_done_and_the_next_command_does_the_rest(
    jobs: Command, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr("tracker.jobs.matching.STEP_JOBS", 1)
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr("tracker.cli.change_jobs.progress_bar", press_at(2, times))
        stopped = jobs("job", "cancel", "--all-matching", "--json")
    assert (stopped.status, stopped.objects) == (130, [{"matched": 3, "changed": 2, "skipped": 1}])
    assert stopped.err == "Stopped, 2 jobs were cancelled until then; do it again for the rest.\n"
    assert signal.getsignal(signal.SIGINT) is before
    assert statuses(jobs) == ["Cancelled"] * 3 + ["Waiting"] * 2
    again = jobs("job", "cancel", "--all-matching", "--json")
    assert (again.status, again.objects) == (0, [{"matched": 5, "changed": 2, "skipped": 3}])


def test_an_error_in_the_middle_says_how_many_are_done(
    jobs: Command, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setattr("tracker.jobs.matching.STEP_JOBS", 1)

    @contextmanager
    def bar(_doing: str, _total: int | None) -> Iterator[Callable[[int], None]]:
        def end_sessions(_done: int) -> None:
            with psycopg.connect(database_url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    " AND backend_type = 'client backend'"
                )

        yield end_sessions

    monkeypatch.setattr("tracker.cli.change_jobs.progress_bar", bar)
    done = jobs("job", "cancel", "--all-matching")
    assert (done.status, done.out) == (1, "")
    assert done.err.endswith("; 1 job was cancelled until then; do it again for the rest.\n")


def test_named_jobs_that_have_ended_are_left_out_if_asked_for(jobs: Command) -> None:
    refused = jobs("job", "pause", "j0", "j1")
    assert (refused.status, refused.err) == (1, "Cannot be paused: default:j0 is Cancelled.\n")
    done = jobs("job", "pause", "j0", "j1", "--skip-ended")
    assert done == (0, "default:j1: paused\n", "Skipped 1 job: the status does not allow it.\n")
    assert jobs("job", "resume", "j1", "j0", "j0", "--skip-ended", "--json").objects == [
        {"partitionId": "default", "id": "j1", "changed": True, "droppedMessages": 0},
        {"matched": 2, "changed": 1, "skipped": 1},
    ]


def test_a_cancel_says_how_many_wait_for_ever_and_how_to_cancel_them(command: Command) -> None:
    chain = [as_json("a"), as_json("b", prerequisiteJobIds=["a"]), as_json("c", prerequisiteJobIds=["b"])]
    command("job", "submit", stdin="\n".join(map(json.dumps, chain)).encode())
    assert command("job", "cancel", "a") == (
        0,
        "default:a: cancelled\n",
        "2 jobs wait for ever now; to cancel them too: tracker job cancel --cascade a\n",
    )
    assert command("job", "cancel", "b", "--json").err == (
        "1 job waits for ever now; to cancel it too: tracker job cancel --cascade b\n"
    )
    assert command("job", "cancel", "--cascade", "b") == (
        0,
        "default:b: was cancelled already\ndefault:c: cancelled\n",
        "",
    )


def test_a_delete_says_how_many_wait_for_it(command: Command) -> None:
    chain = [as_json("a"), as_json("b", prerequisiteJobIds=["a"]), as_json("c", prerequisiteJobIds=["b"])]
    command("job", "submit", stdin="\n".join(map(json.dumps, chain)).encode())
    assert command("job", "delete", "c").err == ""
    assert command("job", "delete", "a").err == (
        "1 job waits for what was deleted, as for jobs that do not exist yet.\n"
    )


def test_the_options_and_the_user_are_noted(jobs: Command, database_url: str) -> None:
    jobs("job", "pause", "j1")
    options = ("--status", "Waiting", "--prefix", "j", "--label", "number=2", "--label", "number")
    jobs("job", "delete", "--all-matching", *options, "--filter", "id>j1")
    jobs("job", "cancel", "--all-matching")
    with psycopg.connect(database_url) as connection:
        noted = connection.execute(
            "SELECT user_name, verb, filter, job_count FROM tracker.action ORDER BY action_key"
        ).fetchall()
    me = pwd.getpwuid(os.getuid()).pw_name
    assert noted[1:] == [
        (me, "pause", None, 1),
        (
            me,
            "delete",
            "--prefix j --status Waiting --label number=2 --label number --filter 'id>j1'",
            1,
        ),
        (me, "cancel", "", 3),
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("cancel",), "give JOBs, or --all-matching"),
        (("cancel", "a", "--all-matching"), "give JOBs or --all-matching, not both"),
        (("delete", "a", "--status", "Failed"), "are for --all-matching"),
        (("delete", "a", "--filter", "id==a"), "are for --all-matching"),
        (("pause", "--all-matching", "--skip-ended"), "--all-matching always skips"),
        (("retry", "--all-matching", "--cascade"), "not for --all-matching"),
        (("retry", "--all-matching", "--failed-tasks"), "--failed-tasks is for JOBs"),
        (("retry", "a", "--failed-tasks", "--cascade"), "--failed-tasks is for JOBs"),
        (("retry", "a", "--failed-tasks", "--skip-ended"), "--failed-tasks is for JOBs"),
        (("retry", "--failed-tasks"), "give JOBs"),
        (("retry", "a", "--max-count", "2"), "--max-count is for --failed-tasks"),
        (("cancel", "a", "--timeout", "2"), "--timeout is for --wait"),
        (("cancel", "--all-matching", "--cascade"), "not for --all-matching"),
        (("resume", "--all-matching", "--filter", "id=a"), "the filter is wrong at column"),
        (("cancel", "--all-matching", "--status", "done"), "is not a status"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(
    bare_command: Command, arguments: tuple[str, ...], text: str
) -> None:
    done = bare_command("job", *arguments)
    assert (done.status, done.out) == (2, "")
    assert text in done.err


def test_a_wait_without_brokers_cancels_nothing(jobs: Command) -> None:
    done = jobs("job", "cancel", "j1", "--wait")
    assert (done.status, done.out) == (2, "")
    assert "TRACKER_KAFKA_BOOTSTRAP_SERVERS" in done.err
    assert statuses(jobs)[1] == "Waiting"
