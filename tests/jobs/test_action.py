"""What people do to jobs is noted: who, what, and how many, once for each call."""

import asyncio
import os
import pwd
from typing import Any

import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import job, rows, set_status
from tracker import AsyncClient, Client, JobRefused, TrackerError
from tracker.job_filter import HasStatus
from tracker.job_status import JobStatus
from tracker.jobs import action

ACTIONS = "SELECT user_name, verb, filter, job_count FROM action ORDER BY action_key"
POINTING = """
    SELECT job_id, verb FROM job LEFT JOIN action USING (action_key) ORDER BY job_id
"""
ME = pwd.getpwuid(os.getuid()).pw_name


def test_each_call_that_changes_jobs_is_one_row_to_which_they_point(
    client: Client, connection: Connection
) -> None:
    client.submit([job("a"), job("b"), job("c"), job("d", "a")])
    set_status(connection, "c", JobStatus.FAILED)
    assert rows(connection, POINTING) == [("a", None), ("b", None), ("c", None), ("d", None)]
    client.pause(["a", "b"])
    client.resume(["a", "b"])
    client.pause("b")
    client.retry("c")
    client.cancel("a", cascade=True)
    assert rows(connection, ACTIONS) == [
        (ME, "pause", None, 2), (ME, "resume", None, 2), (ME, "pause", None, 1), (ME, "retry", None, 1),
        (ME, "cancel", None, 2),
    ]  # fmt: skip
    assert rows(connection, POINTING) == [("a", "cancel"), ("b", "pause"), ("c", "retry"), ("d", "cancel")]
    client.delete(["a", "b"])
    assert rows(connection, ACTIONS)[-1] == (ME, "delete", None, 2)
    assert rows(connection, "SELECT now() - action_time < interval '1 minute' FROM action LIMIT 1") == [
        (True,)
    ]


def test_a_filter_is_one_row_however_many_steps_it_takes(
    client: Client, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.jobs.matching.STEP_JOBS", 2)
    client.submit(job(f"j{number}") for number in range(5))
    client.pause(matching="status==Waiting")
    connection.execute("UPDATE job SET status = 3")
    client.retry(matching=HasStatus((JobStatus.FAILED,)))
    assert rows(connection, ACTIONS) == [
        (ME, "pause", "status==Waiting", 5),
        (ME, "retry", str(HasStatus((JobStatus.FAILED,))), 5),
    ]
    assert rows(connection, "SELECT count(DISTINCT action_key), count(action_key) FROM job") == [(1, 5)]
    client.delete(matching="id==j*")
    assert rows(connection, ACTIONS)[-1] == (ME, "delete", "id==j*", 5)


def test_a_long_filter_is_kept_in_part(client: Client, connection: Connection) -> None:
    client.submit([job("j")])
    matching = f"id=in=(j{',very-long-name' * 1_000})"
    client.cancel(matching=matching)
    assert rows(connection, "SELECT filter FROM action") == [(matching[:10_000],)]


def test_what_changes_nothing_is_not_noted(client: Client, connection: Connection) -> None:
    client.submit([job("a"), job("b")])
    client.cancel("a")
    client.cancel("a")
    client.cancel(matching="id==a")
    client.retry(matching="id==a")
    client.resume("b")
    with pytest.raises(JobRefused):
        client.pause(["a", "b"])
    assert rows(connection, ACTIONS) == [(ME, "cancel", None, 1)]


def test_what_is_undone_and_done_again_is_noted_once(client: Client, connection: Connection) -> None:
    client.submit([job("a")])
    connection.execute(
        """
        CREATE SEQUENCE tries;
        CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('tries') <= 2 THEN
                RAISE EXCEPTION 'deadlock detected' USING ERRCODE = 'deadlock_detected';
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER undo AFTER UPDATE ON job EXECUTE FUNCTION undo();
        """
    )
    client.cancel("a")
    assert rows(connection, "SELECT last_value FROM tries") == [(3,)]
    assert rows(connection, ACTIONS) == [(ME, "cancel", None, 1)]


def test_a_program_says_who_its_user_is(database_url: str, connection: Connection) -> None:
    with Client(database_url, user="ann") as client:
        client.submit([job("a"), job("b")])
        client.cancel("a")

    async def cancel() -> None:
        async with AsyncClient(database_url, user="") as client:
            await client.cancel("b")

    asyncio.run(cancel())
    assert rows(connection, "SELECT user_name FROM action ORDER BY action_key") == [("ann",), ("",)]


@pytest.mark.parametrize("user", [7, "a\0", "\ud800", b"ann"])
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_user_that_cannot_be_stored_is_refused(kind: Any, user: Any) -> None:
    with pytest.raises(TrackerError, match="the user"):
        kind("postgresql://db/x", user=user)


def test_where_the_system_has_no_name_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    assert action.os_user.__wrapped__() == ""
