"""What is shown of one job: what `get` returns, what it waits for, and what it has lost."""

from typing import Any

import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import job, set_status
from tracker import Client, JobNotFound, PrerequisiteState
from tracker.job_status import STATUSES

WAITING, ACTIVE, PAUSED, FAILED, CANCELLED, COMPLETED = STATUSES

NOTHING: dict[str, Any] = {
    "attempt": 1,
    "sent_time_ms": None,
    "delay_until_ms": None,
    "suspended": False,
    "prerequisites": [],
    "prerequisite_count": 0,
    "held_messages": 0,
    "dropped_messages": 0,
    "dead_letters": 0,
}


def details(client: Client, name: str = "a") -> dict[str, Any]:
    """Return what `describe` has of a job and `get` has not; the rest is the same."""
    described, found = client.describe(name), client.get(name)
    for field in found.__struct_fields__:
        assert getattr(described, field) == getattr(found, field)
    return {
        field: getattr(described, field)
        for field in described.__struct_fields__
        if field not in found.__struct_fields__
    }


def test_of_a_job_that_is_about_to_be_sent_there_is_nothing_to_say(client: Client) -> None:
    client.submit([job("a")])
    assert details(client) == NOTHING
    with pytest.raises(JobNotFound, match="no such job: default:b"):
        client.describe("b")


def test_it_was_sent_and_started_again(client: Client, connection: Connection) -> None:
    client.submit([job("a")])
    set_status(connection, "a", FAILED)
    [(sent_ms,)] = connection.execute(
        "SELECT floor(extract(epoch FROM sent_time) * 1000)::bigint FROM task_message"
    ).fetchall()
    assert details(client) == NOTHING | {"sent_time_ms": sent_ms}
    client.retry("a")
    assert details(client) == NOTHING | {"attempt": 2}


def test_it_is_delayed_until_it_can_be_sent(client: Client, connection: Connection) -> None:
    client.submit([job("a", delay=3600), job("b", "a", delay=3600)])
    [(due_ms,)] = connection.execute(
        "SELECT floor(extract(epoch FROM eligible_time) * 1000)::bigint FROM task_message"
        " WHERE eligible_time IS NOT NULL"
    ).fetchall()
    assert details(client) == NOTHING | {"delay_until_ms": due_ms}
    assert details(client, "b")["delay_until_ms"] is None  # nobody knows yet
    connection.execute("UPDATE task_message SET not_sent_reason = 'the topic in does not exist'")
    assert details(client) == NOTHING
    connection.execute(
        "UPDATE task_message SET not_sent_reason = NULL, eligible_time = now() - interval '1 second'"
    )
    assert details(client) == NOTHING


def test_its_partition_id_is_suspended(client: Client) -> None:
    client.submit([job("a"), job("b", partition_id="p")])
    client.suspend_partition("default")
    assert details(client) == NOTHING | {"suspended": True}
    assert details(client, "p:b") == NOTHING


def test_the_first_twenty_jobs_for_which_it_waits_have_a_state(
    client: Client, connection: Connection
) -> None:
    waited_for = [f"p{number:02}" for number in range(30)]
    client.submit([job("a", *waited_for)])
    client.submit([job("p00"), job("p01"), job("p25")])
    set_status(connection, "p01", PAUSED)
    connection.execute("UPDATE job SET percentage = 12345678 WHERE job_id = 'p01'")
    found = details(client)
    assert found["prerequisite_count"] == 30
    assert found["prerequisites"] == [
        PrerequisiteState(id="p00", status=WAITING, percentage_complete=0),
        PrerequisiteState(id="p01", status=PAUSED, percentage_complete=12.35),
        *(PrerequisiteState(id=name, status=None, percentage_complete=None) for name in waited_for[2:20]),
    ]
    assert client.get("a").prerequisite_job_ids == waited_for


def test_messages_of_it_are_held_dropped_or_dead_letters(client: Client, connection: Connection) -> None:
    client.submit([job("a"), job("b")])
    connection.execute(
        "INSERT INTO held_message (tenant_key, job_key, destination, message_value)"
        " SELECT tenant_key, job_key, 'out', '' FROM job, generate_series(1, 3) WHERE job_id = 'a'"
    )
    connection.execute(
        "INSERT INTO job_note (tenant_key, job_key, dropped, dead_letters)"
        " SELECT tenant_key, job_key, 5, 7 FROM job WHERE job_id = 'a'"
    )
    assert details(client) == NOTHING | {"held_messages": 3, "dropped_messages": 5, "dead_letters": 7}
    assert details(client, "b") == NOTHING
