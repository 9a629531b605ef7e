"""What a job waits for is changed by hand: what that leaves, whether the job is sent, what is refused."""

from typing import Any

import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import job, rows, set_status, unmet
from tracker import ChangedPrerequisites, Client, InvalidQuery, JobNotFound, JobRefused
from tracker.identifiers import BadIdentifier
from tracker.job_status import STATUSES, JobStatus

WAITING, ACTIVE, PAUSED, FAILED, CANCELLED, COMPLETED = STATUSES
ACTIONS = "SELECT verb, filter, job_count FROM action ORDER BY action_key"
POINTING = "SELECT job_id, verb FROM job JOIN action USING (action_key) ORDER BY job_id"


def changed(
    job_id: str, added: str = "", removed: str = "", unmet: int = 0, **fields: Any
) -> ChangedPrerequisites:
    return ChangedPrerequisites(
        partition_id="default",
        id=job_id,
        added=added.split(),
        removed=removed.split(),
        unmet=unmet,
        **fields,
    )


def reported(connection: Connection, job_id: str) -> None:
    """Make a job Active that has not been sent."""
    connection.execute("UPDATE job SET status = 1 WHERE job_id = %s", [job_id])


# --- release


@pytest.mark.parametrize("status", [WAITING, ACTIVE], ids=str)
def test_a_released_job_is_due_and_waits_for_nothing(
    client: Client, connection: Connection, status: JobStatus
) -> None:
    client.submit([job("a"), job("d", "a", "later"), job("other", "a")])
    if status is ACTIVE:
        reported(connection, "d")
    assert client.release("d") == changed("d", removed="a later")
    assert unmet(connection, "d") == (0, True, [])
    assert unmet(connection, "other") == (1, False, ["a"])
    assert client.get("d").status is status
    assert rows(connection, ACTIONS) == [("release", "a, later", 1)]
    assert rows(connection, POINTING) == [("d", "release")]


def test_a_release_wakes_the_scheduler(client: Client, connection: Connection) -> None:
    client.submit([job("d", "a")])
    connection.execute("LISTEN tracker_scheduler")
    client.release("d")
    assert len(list(connection.notifies(timeout=10, stop_after=1))) == 1


def test_a_delayed_job_is_delayed_from_its_release_on(client: Client, connection: Connection) -> None:
    client.submit([job("d", "a", delay=1_000)])
    client.release("d")
    due_in = "SELECT extract(epoch FROM eligible_time - now())::float8 BETWEEN 900 AND 1000 FROM task_message"
    assert rows(connection, due_in) == [(True,)]


def test_a_paused_job_stays_paused(client: Client, connection: Connection) -> None:
    client.submit([job("d", "a")])
    client.pause("d")
    assert client.release("d").removed == ["a"]
    assert rows(connection, "SELECT unmet, paused, sent_time FROM task_message") == [(0, True, None)]
    assert client.get("d").status is PAUSED


def test_a_job_that_waits_for_nothing_is_not_changed(client: Client, connection: Connection) -> None:
    client.submit([job("a"), job("d", "a"), job("old")])
    set_status(connection, "a", ACTIVE)
    client.release("d")
    connection.execute(
        "DELETE FROM task_message USING job WHERE job.job_key = task_message.job_key AND job_id = 'old'"
    )
    for job_id in ("a", "d", "old"):
        assert client.release(job_id) == changed(job_id)
    assert rows(connection, "SELECT count(*) FROM action") == [(1,)]


@pytest.mark.parametrize("status", [FAILED, CANCELLED, COMPLETED], ids=str)
def test_a_job_that_has_ended_is_neither_released_nor_changed(
    client: Client, connection: Connection, status: JobStatus
) -> None:
    client.submit([job("d", "a")])
    set_status(connection, "d", status)
    with pytest.raises(JobRefused, match=f"cannot be released: default:d is {status}$"):
        client.release("d")
    with pytest.raises(JobRefused, match=f"its prerequisites cannot be changed: default:d is {status}$"):
        client.change_prerequisites("d", remove="a")
    assert client.get("d").prerequisite_job_ids == ["a"]


def test_a_job_that_is_not_stored_is_not_found(client: Client) -> None:
    for partition in ("default", "new"):
        for act in (
            client.release,
            lambda name: client.change_prerequisites(name, add="a"),
            lambda name: client.change_prerequisites(name, remove="a"),
        ):
            with pytest.raises(JobNotFound, match=f"no such job: {partition}:nope$"):
                act(f"{partition}:nope")
        client.submit([job("a")])


# --- prerequisites


def test_prerequisites_are_added_and_removed(client: Client, connection: Connection) -> None:
    client.submit([job("a"), job("b"), job("c"), job("d", "a")])
    assert client.change_prerequisites("d", add=["b", "c"]) == changed("d", added="b c", unmet=3)
    assert unmet(connection, "d") == (3, False, ["a", "b", "c"])
    assert client.change_prerequisites("d", add="a", remove=["b", "x"]) == changed("d", removed="b", unmet=2)
    assert unmet(connection, "d") == (2, False, ["a", "c"])
    assert client.change_prerequisites("d", add="b", remove="a") == changed("d", "b", "a", 2)
    assert unmet(connection, "d") == (2, False, ["b", "c"])
    assert rows(connection, ACTIONS) == [
        ("prerequisites", "--add b --add c", 1),
        ("prerequisites", "--remove b", 1),
        ("prerequisites", "--add b --remove a", 1),
    ]


def test_without_the_last_one_it_is_due_and_with_another_one_no_longer(
    client: Client, connection: Connection
) -> None:
    client.submit([job("a"), job("b"), job("d", "a")])
    connection.execute("LISTEN tracker_scheduler")
    assert client.change_prerequisites("d", remove="a") == changed("d", removed="a")
    assert unmet(connection, "d") == (0, True, [])
    assert len(list(connection.notifies(timeout=10, stop_after=1))) == 1
    connection.execute("UPDATE task_message SET not_sent_reason = 'x', postponed_time = now()")
    client.change_prerequisites("d", add="b")
    assert unmet(connection, "d") == (1, False, ["b"])
    waiting = "SELECT not_sent_reason, postponed_time FROM task_message WHERE unmet = 1"
    assert rows(connection, waiting) == [(None, None)]


def test_what_has_completed_and_what_may_be_gone_need_not_be_waited_for(
    client: Client, connection: Connection
) -> None:
    client.submit([job("a"), job("b"), job("d")])
    set_status(connection, "a", COMPLETED)
    assert client.change_prerequisites("d", add=["a", "gone,pc"]) == changed("d")
    assert unmet(connection, "d") == (0, True, [])
    assert rows(connection, ACTIONS) == []
    assert client.change_prerequisites("d", add="b,pc") == changed("d", added="b", unmet=1)


def test_one_that_does_not_exist_is_waited_for_with_a_warning(client: Client, connection: Connection) -> None:
    client.submit([job("d")])
    warning = "waits for default:later, which does not exist"
    expected = changed("d", added="later", unmet=1, warnings=(warning,))
    assert client.change_prerequisites("d", add="later") == expected
    assert unmet(connection, "d") == (1, False, ["later"])


@pytest.mark.parametrize(("status", "what"), [(FAILED, "has failed"), (CANCELLED, "was cancelled")])
def test_one_that_cannot_complete_is_refused(
    client: Client, connection: Connection, status: JobStatus, what: str
) -> None:
    client.submit([job("a"), job("b"), job("d", "b")])
    set_status(connection, "a", status)
    with pytest.raises(JobRefused, match=f"a prerequisite {what}: default:a, for default:d$"):
        client.change_prerequisites("d", add="a", remove="b")
    assert unmet(connection, "d") == (1, False, ["b"])
    assert rows(connection, ACTIONS) == []


def test_a_cycle_is_refused_and_named(client: Client, connection: Connection) -> None:
    client.submit([job("a"), job("b", "a"), job("c", "b"), job("x")])
    with pytest.raises(JobRefused, match=r"cycle in partition ID default: a -> a$"):
        client.change_prerequisites("a", add="a")
    with pytest.raises(JobRefused, match=r"cycle in partition ID default: a -> a$"):
        client.change_prerequisites("a", add="a,pc")
    with pytest.raises(JobRefused, match=r"cycle in partition ID default: a -> c -> b -> a$"):
        client.change_prerequisites("a", add=["x", "c"])
    assert unmet(connection, "a") == (0, True, [])
    client.change_prerequisites("b", add="x")  # on the way, and no cycle
    client.change_prerequisites("c", add="a")
    assert unmet(connection, "c") == (2, False, ["a", "b"])


def test_a_cycle_of_a_job_that_does_not_exist_yet_is_refused_when_it_is_submitted(client: Client) -> None:
    client.submit([job("d")])
    client.change_prerequisites("d", add="later")
    with pytest.raises(JobRefused, match="prerequisites form a cycle"):
        client.submit([job("later", "d")])


def test_a_job_that_has_been_sent_is_refused(client: Client, connection: Connection) -> None:
    client.submit([job("a"), job("d")])
    set_status(connection, "d", ACTIVE)
    with pytest.raises(JobRefused, match=r"default:d has been sent already$"):
        client.change_prerequisites("d", add="a")
    connection.execute("DELETE FROM task_message")  # an earlier version has sent it
    with pytest.raises(JobRefused, match=r"default:d has been sent already$"):
        client.change_prerequisites("d", add="a")


def test_the_content_stays_so_to_submit_it_again_changes_nothing(
    client: Client, connection: Connection
) -> None:
    jobs = [job("a"), job("d", "a", "b"), job("e", "a")]
    client.submit(jobs)
    client.release("d")
    client.change_prerequisites("e", add="x", remove="a")
    assert [each.created for each in client.submit(jobs)] == [False] * 3
    assert unmet(connection, "d") == (0, True, [])
    assert unmet(connection, "e") == (1, False, ["x"])
    submitted = "SELECT job_id, prerequisite_job_ids FROM job WHERE job_id > 'a' ORDER BY job_id"
    assert rows(connection, submitted) == [("d", ["a", "b"]), ("e", ["a"])]


def test_a_retry_waits_for_what_was_left(client: Client, connection: Connection) -> None:
    client.submit([job("a"), job("d", "a", "b")])
    client.change_prerequisites("d", remove="a")
    set_status(connection, "d", FAILED)
    client.retry("d")
    assert unmet(connection, "d") == (1, False, ["b"])


def test_names_are_given_as_the_tracker_prints_them(client: Client, connection: Connection) -> None:
    client.submit([job("d", "a", partition_id="acme")])
    found = client.get("acme:d")
    answer = client.change_prerequisites(found, remove="acme:a", add=("acme:b",))
    assert (answer.added, answer.removed) == (["b"], ["a"])
    assert client.get(answer).prerequisite_job_ids == ["b"]
    assert client.release(answer).removed == ["b"]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "no prerequisite is given"),
    "the same twice": ({"add": ["a", "b"], "remove": ["b"]}, "both added and removed: b"),
    "another partition ID": ({"add": "other:a"}, "jobs of the same partition ID"),
    "blank": ({"remove": " "}, "blank"),
    "a number": ({"add": 7}, "given as a number"),
    "numbers": ({"add": [7]}, "is a number, not a string"),
    "NUL": ({"add": "a\0"}, "has a NUL"),
    "half a character": ({"remove": "\ud800"}, "has a NUL, or half a character"),
    "with and without the mark": ({"add": ["a", "a,pc"]}, "both with and without"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_arguments_are_refused_in_a_sentence(client: Client, wrong: str) -> None:
    arguments, text = WRONG[wrong]
    with pytest.raises(InvalidQuery, match=text):
        client.change_prerequisites("d", **arguments)
    with pytest.raises(BadIdentifier):
        client.release("d.1")
