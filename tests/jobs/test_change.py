"""Cancel, pause, resume and delete: from which status, what they leave, and what they refuse."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import job, rows, set_status, total, unmet
from tracker import ChangedJob, Client, JobNotFound, JobRefused, JobStatus, TrackerError
from tracker.job_status import STATUSES

WAITING, ACTIVE, PAUSED, FAILED, CANCELLED, COMPLETED = STATUSES
ENDED = [FAILED, CANCELLED, COMPLETED]
EVERYTHING_OF_A_JOB = {
    "job", "label", "prerequisite", "task_message", "held_message", "resumed_job", "outbox", "sibling_tasks",
    "task_block", "task_failure", "job_note",
}  # fmt: skip


def hold(connection: Connection, job_id: str, count: int = 1) -> None:
    """Hold messages of a job, as the worker does while it is paused."""
    connection.execute(
        """
        INSERT INTO held_message (tenant_key, job_key, destination, message_value)
        SELECT tenant_key, job_key, 'worker-in', 'x' FROM job, generate_series(1, %s) WHERE job_id = %s
        """,
        [count, job_id],
    )


def fill_tables(connection: Connection, job_id: str) -> None:
    """Give a job a row in each of the tables that the worker and the scheduler write."""
    for insert in (
        "sibling_tasks (tenant_key, job_key, path, number, tasks) SELECT tenant_key, job_key, '', 0, ''",
        "task_block (tenant_key, job_key, path, block, completed) SELECT tenant_key, job_key, '', 0, 'x'",
        "task_failure SELECT tenant_key, job_key, '1', 'id', 0, 'source', 'message'",
        "outbox (tenant_key, job_key, send_number) SELECT tenant_key, job_key, 1",
        "resumed_job SELECT tenant_key, job_key",
        "job_note SELECT tenant_key, job_key",
    ):
        connection.execute(f"INSERT INTO {insert} FROM job WHERE job_id = '{job_id}'".encode())
    hold(connection, job_id)


def count_rows(connection: Connection, table: str) -> int:
    ((number,),) = rows(connection, f"SELECT count(*) FROM {table}")
    return int(number)


def verb(client: Client, name: str) -> Callable[[Any], list[ChangedJob]]:
    found: Callable[[Any], list[ChangedJob]] = getattr(client, name)
    return found


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("cancel", WAITING, CANCELLED),
        ("cancel", ACTIVE, CANCELLED),
        ("cancel", PAUSED, CANCELLED),
        ("pause", WAITING, PAUSED),
        ("pause", ACTIVE, PAUSED),
        ("resume", PAUSED, ACTIVE),
    ],
)
def test_changed(
    client: Client, connection: Connection, name: str, before: JobStatus, after: JobStatus
) -> None:
    client.submit([job("a"), job("bystander")])
    set_status(connection, "a", before)
    (changed,) = verb(client, name)("a")
    assert (str(changed), changed.changed) == ("default:a", True)
    found = client.get("a")
    assert found.status is after
    assert found.last_update_time_ms > found.create_time_ms
    assert client.get("bystander").status is WAITING


@pytest.mark.parametrize(
    ("name", "status"),
    [("cancel", CANCELLED), ("pause", PAUSED), ("resume", ACTIVE), ("resume", WAITING)],
)
def test_done_already_is_no_error(
    client: Client, connection: Connection, name: str, status: JobStatus
) -> None:
    client.submit([job("a")])
    set_status(connection, "a", status)
    before = client.get("a")
    assert [changed.changed for changed in verb(client, name)("a")] == [False]
    assert client.get("a") == before


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("cancel", FAILED),
        ("cancel", COMPLETED),
        *(("pause", status) for status in ENDED),
        *(("resume", status) for status in ENDED),
    ],
)
def test_a_finished_job_refuses_and_nothing_is_done_to_any(
    client: Client, connection: Connection, name: str, status: JobStatus
) -> None:
    client.submit([job("a"), job("b")])
    set_status(connection, "a", PAUSED if name == "resume" else ACTIVE)
    set_status(connection, "b", status)
    with pytest.raises(JobRefused, match=f"default:b is {status}"):
        verb(client, name)(["a", "b"])
    assert client.get("a").status is (PAUSED if name == "resume" else ACTIVE)


@pytest.mark.parametrize("name", ["cancel", "pause", "resume", "delete"])
def test_a_job_that_is_not_there_is_named_and_nothing_is_done_to_any(client: Client, name: str) -> None:
    client.submit([job("a")])
    before = client.get("a")
    with pytest.raises(JobNotFound, match="no such job: default:nope, p:a"):
        verb(client, name)(["a", "nope", "p:a"])
    assert client.get("a") == before


def test_a_malformed_name_is_an_error(client: Client) -> None:
    for name in ("get", "cancel", "pause", "resume", "delete", "wait", "failures"):
        for reference in ("", "a.b", "p:q:r", "a\0", "a\ud800", "x" * 49, ":a"):
            with pytest.raises(TrackerError):
                list(verb(client, name)(reference))


@pytest.mark.parametrize("name", ["cancel", "pause", "delete"])
def test_many_jobs_of_several_partition_ids_are_one_call(client: Client, name: str) -> None:
    submitted = client.submit([job(f"j{number}", partition_id=f"p{number % 7}") for number in range(500)])
    changed = verb(client, name)([*submitted, submitted[0]])
    assert [str(item) for item in changed] == [str(item) for item in submitted]
    assert all(item.changed for item in changed)


def test_a_cancelled_job_is_not_sent_and_waits_for_nothing(client: Client, connection: Connection) -> None:
    client.submit([job("a", "b")])
    fill_tables(connection, "a")
    client.cancel("a")
    assert count_rows(connection, "task_message") == 0
    assert count_rows(connection, "prerequisite") == 0
    assert count_rows(connection, "resumed_job") == 0
    assert count_rows(connection, "outbox") == 1  # may be on its way to Kafka


def test_the_dependents_of_a_cancelled_or_deleted_job_keep_waiting(
    client: Client, connection: Connection
) -> None:
    client.submit([job("a"), job("b"), job("dependent", "a", "b")])
    client.cancel("a")
    client.delete("b")
    assert unmet(connection, "dependent") == (2, False, ["a", "b"])
    assert client.get("dependent").status is WAITING


def test_what_was_held_for_a_cancelled_or_deleted_job_is_dropped_and_counted(
    client: Client, connection: Connection
) -> None:
    client.submit([job("a"), job("b"), job("c")])
    client.pause(["a", "b", "c"])
    hold(connection, "a", 3)
    hold(connection, "b", 2)
    hold(connection, "c", 1)
    assert [item.dropped_messages for item in client.cancel(["c", "a"])] == [1, 3]
    assert [item.dropped_messages for item in client.delete(["a", "b"])] == [0, 2]
    assert count_rows(connection, "held_message") == 0


def test_a_job_paused_before_it_was_sent_is_sent_once_it_is_resumed(
    client: Client, connection: Connection
) -> None:
    client.submit([job("a")])
    client.pause("a")
    assert rows(connection, "SELECT paused FROM task_message") == [(True,)]
    connection.execute("LISTEN tracker_scheduler")
    client.resume("a")
    assert rows(connection, "SELECT paused FROM task_message") == [(False,)]
    assert [notify.channel for notify in connection.notifies(timeout=10, stop_after=1)] == [
        "tracker_scheduler"
    ]


def test_a_resumed_job_has_its_held_messages_sent(client: Client, connection: Connection) -> None:
    client.submit([job("a"), job("b")])
    client.pause(["a", "b"])
    hold(connection, "a", 2)
    client.resume(["a", "b"])
    assert rows(connection, "SELECT job_id FROM resumed_job JOIN job USING (tenant_key, job_key)") == [("a",)]
    assert count_rows(connection, "held_message") == 2


def test_a_job_that_is_paused_again_keeps_what_was_held(client: Client, connection: Connection) -> None:
    client.submit([job("a")])
    client.pause("a")
    hold(connection, "a")
    client.resume("a")
    client.pause("a")
    assert (count_rows(connection, "resumed_job"), count_rows(connection, "held_message")) == (0, 1)
    client.resume("a")
    assert (count_rows(connection, "resumed_job"), count_rows(connection, "held_message")) == (1, 1)


@pytest.mark.parametrize("status", STATUSES)
def test_a_job_of_any_status_is_deleted_with_all_that_belongs_to_it(
    client: Client, connection: Connection, status: JobStatus
) -> None:
    client.submit([job("a", "x", labels={"k": "v"}), job("bystander", "a", labels={"k": "v"})])
    fill_tables(connection, "a")
    fill_tables(connection, "bystander")
    connection.execute("UPDATE job SET status = %s WHERE job_id = 'a'", [status.number])
    client.delete("a")
    assert {table: count_rows(connection, table) for table in EVERYTHING_OF_A_JOB} == dict.fromkeys(
        EVERYTHING_OF_A_JOB, 1
    )
    with pytest.raises(JobNotFound):
        client.get("a")


def test_delete_knows_every_table_of_a_job(connection: Connection) -> None:
    tables = rows(
        connection,
        """
        SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'job_key'
        WHERE relnamespace = 'tracker'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
        """,
    )
    assert {name for (name,) in tables} - {"removed_job"} == EVERYTHING_OF_A_JOB  # which has no job's data


def test_a_deleted_job_can_be_submitted_again(client: Client, connection: Connection) -> None:
    client.submit([job("a", name="first")])
    client.delete("a")
    assert total(connection) == 0
    client.submit([job("a", name="second")])
    assert client.get("a").name == "second"


def test_partition_ids_are_suspended_and_resumed(client: Client, connection: Connection) -> None:
    client.submit([job("a", partition_id="used")])
    assert client.suspend_partition(["new", "used", "new"]) == ["new", "used"]
    assert client.suspend_partition("used") == []
    assert [(state.partition_id, state.suspended) for state in client.list_partitions()] == [
        ("new", True),
        ("used", True),
    ]
    connection.execute("LISTEN tracker_scheduler")
    assert client.resume_partition(["used", "unknown"]) == ["used"]
    assert [notify.channel for notify in connection.notifies(timeout=10, stop_after=1)] == [
        "tracker_scheduler"
    ]
    assert [(state.partition_id, state.suspended) for state in client.list_partitions()] == [
        ("new", True),
        ("used", False),
    ]


def test_a_malformed_partition_id_is_an_error(client: Client) -> None:
    for bad in ("", "a:b", "x" * 41, "a\0"):
        with pytest.raises(TrackerError):
            client.suspend_partition(bad)
