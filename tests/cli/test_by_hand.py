"""`tracker job release`, `prerequisites` and `report`: what they print, and what they refuse."""

import json
import os
import pwd

import psycopg
import pytest

from tests.cli.conftest import ENOUGH, Command
from tests.support.jobs import as_json

ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def jobs(command: Command) -> Command:
    """Jobs `a`, `b`, and `d`, which waits for both, of partition ID acme."""
    new = [
        as_json("a", partitionId="acme"),
        as_json("b", partitionId="acme"),
        as_json("d", partitionId="acme", prerequisiteJobIds=["a", "b"]),
    ]
    command("job", "submit", stdin="\n".join(map(json.dumps, new)).encode())
    return command


def test_a_release_says_what_is_no_longer_waited_for(jobs: Command) -> None:
    assert jobs("job", "release", "acme:d") == (
        0,
        "acme:d: released; it no longer waits for a, b\n",
        "",
    )
    assert jobs("job", "release", "acme:d").out == "acme:d: waits for no other job\n"
    assert jobs("job", "release", "acme:a", "--json").objects == [
        {"partitionId": "acme", "id": "a", "added": [], "removed": [], "unmet": 0}
    ]


def test_prerequisites_are_changed_and_said(jobs: Command) -> None:
    done = jobs("job", "prerequisites", "acme:d", "--add", "c", "--remove", "acme:a", "--remove", "b")
    assert done == (
        0,
        "acme:d: added c, removed a, b; it waits for 1 job\n",
        "Warning: acme:d waits for acme:c, which does not exist.\n",
    )
    assert jobs("job", "prerequisites", "acme:d", "--add", "c").out == (
        "acme:d: nothing to change; it waits for 1 job\n"
    )
    assert jobs("job", "prerequisites", "acme:d", "--remove", "c", "--json").objects == [
        {"partitionId": "acme", "id": "d", "added": [], "removed": ["c"], "unmet": 0}
    ]


def test_what_stored_jobs_forbid_is_a_sentence(jobs: Command) -> None:
    assert jobs("job", "prerequisites", "acme:a", "--add", "d") == (
        1,
        "",
        "Prerequisites form a cycle in partition ID acme: a -> d -> a.\n",
    )
    jobs("job", "cancel", "acme:a")
    assert jobs("job", "release", "acme:a").err == "Cannot be released: acme:a is Cancelled.\n"
    assert jobs("job", "prerequisites", "acme:b", "--add", "a").err == (
        "A prerequisite was cancelled: acme:a, for acme:b.\n"
    )
    assert jobs("job", "release", "acme:x") == (1, "", "No such job: acme:x.\n")


def test_why_says_who_did_what(jobs: Command) -> None:
    def by_hand() -> list[str]:
        lines = jobs("job", "why", "acme:d", **ENOUGH_OF_KAFKA).lines
        return [line for line in lines if f" UTC: {ME} " in line]

    jobs("job", "prerequisites", "acme:d", "--add", "c", "--remove", "a")
    [line] = by_hand()
    assert line.endswith(f" UTC: {ME} changed what it waits for (--add c --remove a).")
    jobs("job", "release", "acme:d")
    [line] = by_hand()
    assert line.endswith(f" UTC: {ME} released it, although it waited for b, c.")
    jobs("job", "pause", "acme:d")
    assert by_hand() == []


def test_of_many_prerequisites_why_names_some(command: Command) -> None:
    names = [f"prerequisite-number-{number}" for number in range(100)]
    command("job", "submit", stdin=json.dumps(as_json("d", prerequisiteJobIds=names)).encode())
    assert command("job", "release", "d").out.endswith("prerequisite-number-17, and 90 more\n")
    [line] = [line for line in command("job", "why", "d", **ENOUGH_OF_KAFKA).lines if ME in line]
    assert line.endswith("….")
    assert len(line) < 700


ENOUGH_OF_KAFKA = {"TRACKER_KAFKA_BOOTSTRAP_SERVERS": "localhost:1"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("prerequisites", "a"), "no prerequisite is given"),
        (("prerequisites", "a", "--add", "b", "--remove", "b"), "both added and removed: b"),
        (("prerequisites", "a", "--add", "other:b"), "jobs of the same partition ID"),
        (("release", "a.1"), "the job ID has '.'"),
        (("report", "a"), "--status"),
        (("report", "a", "--status", "Done"), "the status is 'Done', not Complete, Failed, Progress"),
        (("report", "a.x", "--status", "Complete"), "a task index is a number"),
        (("report", "a.01", "--status", "Failed"), "a task index is a number"),
        (("report", "a\udc80", "--status", "Complete"), "is no task's name"),
        (("report", "a", "--status", "Progress"), "--percentage is for --status Progress, which needs it"),
        (
            ("report", "a", "--status", "Complete", "--percentage", "5"),
            "--percentage is for --status Progress",
        ),
        (("report", "a", "--status", "Progress", "--percentage", "0"), "not above 0 and at most 99.9"),
        (("report", "a", "--status", "progress", "--percentage", "nan"), "not above 0 and at most 99.9"),
        (("report", "a", "--status", "Progress", "--percentage", "100"), "not above 0 and at most 99.9"),
        (("report", "a", "--status", "Complete", "--message", "x"), "are for --status Failed"),
        (("report", "a", "--status", "failed", "--message", "\udc80"), "the message has a NUL, or half"),
        (
            ("report", "a", "--status", "Failed", "--failure-id", "\udc80"),
            "the failure ID has a NUL, or half",
        ),
    ],
)
def test_wrong_usage_is_refused_before_any_server_is_asked(
    bare_command: Command, arguments: tuple[str, ...], text: str
) -> None:
    done = bare_command("job", *arguments, **ENOUGH)
    assert (done.status, done.out) == (2, "")
    assert text in done.err


def test_a_report_on_a_job_that_is_gone_or_has_ended_is_refused_before_kafka_is_asked(
    jobs: Command, database_url: str
) -> None:
    jobs("job", "cancel", "acme:a")
    assert jobs("job", "report", "acme:x.1", "--status", "Complete", **ENOUGH_OF_KAFKA) == (
        1,
        "",
        "No such job: acme:x.\n",
    )
    assert jobs("job", "report", "acme:a.1", "--status", "Failed", **ENOUGH_OF_KAFKA) == (
        1,
        "",
        "Reports no longer count: acme:a is Cancelled.\n",
    )
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT verb FROM tracker.action").fetchall() == [("cancel",)]


def test_a_report_that_cannot_be_sent_is_not_noted(jobs: Command, database_url: str) -> None:
    done = jobs("job", "report", "acme:d", "--status", "Complete", **ENOUGH_OF_KAFKA)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("Kafka does not answer: ")
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT FROM tracker.action").fetchall() == []
