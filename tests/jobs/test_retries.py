"""A verb whose transaction was undone is run again, with all that it was given."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from psycopg import errors

from tests.support.client_fixtures import Connection
from tests.support.jobs import job, rows, set_status
from tracker import Client, JobStatus, TransactionConflict, WaitTimedOut
from tracker import client as client_module
from tracker.jobs import query
from tracker.store import retries


@pytest.fixture
def undone(connection: Connection) -> None:
    """Make PostgreSQL undo the first two transactions that store or change a job, as it undoes a deadlock.

    A sequence is not set back with the transaction, so it counts them.
    """
    connection.execute(
        """
        CREATE SEQUENCE tries;
        CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('tries') <= 2 THEN
                RAISE EXCEPTION 'deadlock detected' USING ERRCODE = 'deadlock_detected';
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER undo AFTER INSERT OR UPDATE OR DELETE ON job EXECUTE FUNCTION undo();
        CREATE TRIGGER undo AFTER UPDATE ON tenant EXECUTE FUNCTION undo();
        """
    )


@pytest.mark.usefixtures("undone")
def test_a_submit_of_a_generator_stores_all_of_it(client: Client, connection: Connection) -> None:
    submitted = client.submit(job(f"j{number}", labels={"k": "v"}) for number in range(100))
    assert [each.created for each in submitted] == [True] * 100
    assert client.count(label="k") == 100
    assert rows(connection, "SELECT last_value FROM tries") == [(3,)]


@pytest.mark.parametrize("name", ["cancel", "pause", "resume", "delete"])
def test_a_change_of_what_a_generator_gives_changes_all_of_it(
    client: Client, connection: Connection, request: pytest.FixtureRequest, name: str
) -> None:
    names = [f"j{number}" for number in range(10)]
    client.submit([job(name) for name in names])
    if name == "resume":
        client.pause(names)
    request.getfixturevalue("undone")
    changed = getattr(client, name)(each for each in names)
    assert [each.changed for each in changed] == [True] * 10
    assert rows(connection, "SELECT last_value > 2 FROM tries") == [(True,)]


def test_a_suspend_of_what_a_generator_gives_suspends_all_of_it(
    client: Client, connection: Connection, request: pytest.FixtureRequest
) -> None:
    names = ["acme", "evil", "third"]
    client.submit([job("a", partition_id=name) for name in names])
    request.getfixturevalue("undone")
    assert client.suspend_partition(name for name in names) == names
    assert rows(connection, "SELECT last_value FROM tries") == [(3,)]
    connection.execute("ALTER SEQUENCE tries RESTART")
    assert client.resume_partition(name for name in names) == names
    assert rows(connection, "SELECT last_value FROM tries") == [(3,)]


READS: list[Callable[[Client], object]] = [
    lambda client: client.wait(f"j{number}" for number in range(10)),
    lambda client: client.list(status=iter(["completed", "failed"]), limit=0),
    lambda client: client.list(label=iter(["k", "l=v"]), limit=0),
    lambda client: [None] * client.count(status=iter(["Completed"]), label=iter(["k"])),
]


@pytest.mark.parametrize("read", READS)
def test_a_look_at_what_a_generator_gives_finds_all_of_it(
    client: Client, connection: Connection, monkeypatch: pytest.MonkeyPatch, read: Callable[[Client], Any]
) -> None:
    client.submit([job(f"j{number}", labels={"k": "v", "l": "v"}) for number in range(10)])
    client.submit([job("other")])
    for number in range(10):
        set_status(connection, f"j{number}", JobStatus.COMPLETED)
    runs = count_runs(monkeypatch)
    assert len(read(client)) == 10
    assert len(runs) == 2


def count_runs(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the runs of verbs from now on; the first one fails at its end, as one on a standby may."""
    runs: list[object] = []
    step = client_module._Progress.step

    def fail_at_the_end(progress: Any) -> object:
        taken = step(progress)
        if taken is None:
            runs.append(progress)
            if len(runs) == 1:
                raise errors.SerializationFailure("canceling statement due to conflict with recovery")
        return taken

    monkeypatch.setattr(client_module._Progress, "step", fail_at_the_end)
    return runs


def test_a_wait_that_is_run_again_does_not_begin_to_count_its_time_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([0.0, 11.0, 11.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    verb = query.wait_for_jobs("a", timeout=10).begin()
    next(verb)
    with pytest.raises(WaitTimedOut):
        verb.send([(0, 1)])


# In between, and in the end


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch, connection: Connection) -> list[tuple[float, int]]:
    """Return how long was slept, each time, and how many transactions were open meanwhile; nobody sleeps."""
    slept: list[tuple[float, int]] = []
    really_sleep = asyncio.sleep

    def open_transactions() -> int:
        [(number,)] = rows(
            connection,
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state LIKE 'idle in transaction%%'",
        )
        return int(number)

    # What is shown of a session may be a moment old, and a pool may be setting up another one meanwhile: one
    # look at which none is open is enough, and a second look may find the pool at work.

    def sleep(seconds: float) -> None:
        for _ in range(300):
            still_open = open_transactions()
            if not still_open or threading.Event().wait(0.01):
                break
        slept.append((seconds, still_open))

    async def sleep_async(seconds: float) -> None:
        for _ in range(300):
            still_open = open_transactions()
            if not still_open:
                break
            await really_sleep(0.01)
        slept.append((seconds, still_open))

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("asyncio.sleep", sleep_async)
    return slept


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ("deadlock_detected", r"^other transactions conflicted with this one; try again later \(undone\)$"),
        (
            "serialization_failure",
            r"^other transactions conflicted with this one; try again later \(undone\)$",
        ),
        ("unique_violation", "^another program submits some of the same jobs at the same time; try again"),
    ],
)
def test_a_verb_that_others_are_always_in_the_way_of_gives_up_in_a_sentence(
    client: Client, connection: Connection, slept: list[tuple[float, int]], condition: str, text: str
) -> None:
    """After growing pauses, in which it keeps no transaction open."""
    connection.execute(
        f"""
        CREATE SEQUENCE tries;
        CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM nextval('tries');
            RAISE EXCEPTION 'undone' USING ERRCODE = '{condition}';
        END $$;
        CREATE TRIGGER undo AFTER INSERT ON job EXECUTE FUNCTION undo();
        """.encode()
    )
    with pytest.raises(TransactionConflict, match=text):
        client.submit([job("a")])
    assert rows(connection, "SELECT last_value FROM tries") == [(retries.ATTEMPTS,)]
    assert [transactions for _, transactions in slept] == [0] * (retries.ATTEMPTS - 1)
    assert [seconds for seconds, _ in slept] == sorted(seconds for seconds, _ in slept)


def test_pauses_grow_to_a_bound_and_are_by_chance() -> None:
    drawn = [list(retries.pauses()) for _ in range(100)]
    for place, longest in enumerate([0.02, 0.08, 0.32, 1.0]):
        lengths = {pauses[place] for pauses in drawn}
        assert len(lengths) > 50
        assert longest / 2 <= min(lengths)
        assert max(lengths) <= longest
