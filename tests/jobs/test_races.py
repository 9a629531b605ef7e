"""What happens at the same moment: each test holds one side still at the point that matters."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import job, rows, unmet
from tests.support.sessions import Observer
from tracker import Client, JobConflict, JobRefused
from tracker.store.connect import connect


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    """One client for all threads."""
    with Client(database_url, max_connections=8) as client:
        yield client


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


@pytest.fixture
def other(database_url: str) -> Iterator[Connection]:
    """A session of the worker's, whose transaction stays open until the test commits it."""
    with closing(connect(database_url)) as other:
        yield other


def wait_until_blocked(connection: Connection, count: int = 1) -> None:
    """Wait until so many sessions wait for a lock."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        ((blocked,),) = rows(
            connection,
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'
            """,
        )
        if blocked >= count:
            return
        time.sleep(0.005)
    raise AssertionError(f"fewer than {count} sessions wait for a lock")


@contextmanager
def commit_once_blocked(connection: Connection, other: Connection, count: int = 1) -> Iterator[None]:
    yield
    wait_until_blocked(connection, count)
    other.commit()


def release(other: Connection, job_id: str) -> None:
    """Complete a job and take away its edges, as a batch does: it locks the job first."""
    other.execute("SELECT FROM job WHERE job_id = %s FOR NO KEY UPDATE", [job_id])
    other.execute("UPDATE job SET status = 5 WHERE job_id = %s", [job_id])
    edges = other.execute(
        "DELETE FROM prerequisite WHERE prerequisite_job_id = %s RETURNING job_key", [job_id]
    )
    for edge in edges.fetchall():
        other.execute("UPDATE task_message SET unmet = unmet - 1 WHERE job_key = %s", edge)


def run_together(acts: list[Callable[[], Any]], threads: ThreadPoolExecutor) -> list[Future[Any]]:
    barrier = threading.Barrier(len(acts))

    def act(one: Callable[[], Any]) -> Any:
        barrier.wait()
        return one()

    futures = [threads.submit(act, one) for one in acts]
    for future in futures:
        future.exception()
    return futures


def test_a_prerequisite_that_completes_while_its_dependent_is_stored_does_not_count(
    client: Client, connection: Connection, other: Connection, threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a")])
    with commit_once_blocked(connection, other):
        release(other, "a")
        submitting = threads.submit(client.submit, [job("dependent", "a")])
    submitting.result(30)
    assert unmet(connection, "dependent") == (0, True, [])


def test_a_prerequisite_that_fails_while_its_dependent_is_stored_is_refused(
    client: Client, connection: Connection, other: Connection, threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a")])
    with commit_once_blocked(connection, other):
        other.execute("UPDATE job SET status = 3")
        submitting = threads.submit(client.submit, [job("dependent", "a")])
    with pytest.raises(JobRefused, match="has failed"):
        submitting.result(30)


def test_two_halves_of_a_cycle_at_once_are_not_both_stored(
    client: Client, threads: ThreadPoolExecutor
) -> None:
    for number in range(20):
        halves = [job(f"a{number}", f"b{number}"), job(f"b{number}", f"a{number}")]
        futures = run_together([partial(client.submit, [half]) for half in halves], threads)
        errors = [future.exception() for future in futures]
        assert sum(isinstance(error, JobRefused) for error in errors) == 1
        assert errors.count(None) == 1


def test_submits_without_prerequisites_do_not_wait_for_each_other(
    client: Client, connection: Connection, other: Connection
) -> None:
    client.submit([job("a")])
    other.execute("SELECT pg_advisory_xact_lock_shared(%s, tenant_key) FROM tenant", [0x7472_0002])
    client.submit([job("b")])
    assert client.count() == 2


def test_the_same_job_from_many_at_once_is_stored_once(client: Client, threads: ThreadPoolExecutor) -> None:
    jobs = [job(f"j{number}", labels={"k": "v"}) for number in range(200)]
    futures = run_together(
        [lambda: client.submit(jobs), lambda: client.submit(jobs[::-1]), lambda: client.submit(jobs[50:])],
        threads,
    )
    created = [submitted.created for future in futures for submitted in future.result()]
    assert created.count(True) == 200
    assert client.count() == 200


def test_the_same_name_with_other_content_from_two_at_once_is_a_conflict(
    client: Client, threads: ThreadPoolExecutor
) -> None:
    for number in range(10):
        variants = [job(f"j{number}", name=name) for name in "ab"]
        futures = run_together([partial(client.submit, [variant]) for variant in variants], threads)
        errors = [future.exception() for future in futures]
        assert sum(isinstance(error, JobConflict) for error in errors) == 1
        assert errors.count(None) == 1


def test_new_partition_ids_from_two_at_once_get_one_key_each(
    client: Client, threads: ThreadPoolExecutor
) -> None:
    jobs = [job("a", partition_id=f"p{number}") for number in range(100)]
    run_together([lambda: client.submit(jobs), lambda: client.submit(jobs[::-1])], threads)
    assert len(client.list_partitions()) == 100
    assert client.count() == 100


def test_a_cancel_waits_for_the_batch_that_has_the_job(
    client: Client, connection: Connection, other: Connection, threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a")])
    with commit_once_blocked(connection, other):
        release(other, "a")
        cancelling = threads.submit(client.cancel, "a")
    with pytest.raises(JobRefused, match="default:a is Completed"):
        cancelling.result(30)


def test_what_a_batch_holds_while_a_cancel_waits_is_dropped_too(
    client: Client, connection: Connection, other: Connection, threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a")])
    client.pause("a")
    with commit_once_blocked(connection, other):
        other.execute("SELECT FROM job FOR NO KEY UPDATE")
        other.execute(
            """
            INSERT INTO held_message (tenant_key, job_key, destination, message_value)
            SELECT tenant_key, job_key, 'worker-in', 'x' FROM job
            """
        )
        cancelling = threads.submit(client.cancel, "a")
    assert [changed.dropped_messages for changed in cancelling.result(30)] == [1]
    assert rows(connection, "SELECT count(*) FROM held_message") == [(0,)]


def test_a_prerequisite_met_while_its_dependent_is_paused_is_counted(
    client: Client, connection: Connection, other: Connection, threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a"), job("dependent", "a")])
    with commit_once_blocked(connection, other):
        release(other, "a")
        pausing = threads.submit(client.pause, "dependent")
    pausing.result(30)
    statement = (
        "SELECT unmet, paused FROM task_message JOIN job USING (tenant_key, job_key) WHERE job_id = %s"
    )
    assert rows(connection, statement, "dependent") == [(0, True)]


@pytest.mark.parametrize("name", ["cancel", "delete"])
def test_a_dependent_ended_while_its_prerequisite_completes_does_not_deadlock(
    client: Client,
    connection: Connection,
    other: Connection,
    threads: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """A batch locks the edge, then the pending task, of a job that it has not locked."""
    monkeypatch.setattr("tracker.store.retries.ATTEMPTS", 1)
    client.submit([job("a"), job("dependent", "a")])
    other.execute("SELECT FROM prerequisite FOR UPDATE")
    ending = threads.submit(getattr(client, name), "dependent")
    wait_until_blocked(connection)
    other.execute("SET LOCAL lock_timeout = '5s'")
    other.execute("SELECT FROM task_message FOR UPDATE")
    other.commit()
    ending.result(30)
    assert rows(connection, "SELECT count(*) FROM prerequisite") == [(0,)]


def test_changes_of_the_same_jobs_in_any_order_do_not_deadlock(
    client: Client, connection: Connection, database_url: str, threads: ThreadPoolExecutor
) -> None:
    jobs = [job(f"j{number}", *([f"j{number - 1}"] if number % 2 else [])) for number in range(300)]
    names = [str(submitted) for submitted in client.submit(jobs)]
    futures = run_together(
        [
            lambda: client.pause(names),
            lambda: client.resume(names[::-1]),
            lambda: client.pause(sorted(names)),
            lambda: client.cancel(names[::3]),
            lambda: client.delete(names[::-5]),
        ],
        threads,
    )
    errors = [future.exception() for future in futures]
    assert all(error is None or type(error).__name__ in ("JobRefused", "JobNotFound") for error in errors)
    client.close()  # a session reports its deadlocks when it ends, or much later
    with closing(Observer(database_url)) as observer:
        connection.close()
        assert observer.deadlocks() == 0


def test_a_transaction_that_was_in_the_way_is_run_again(
    client: Client, connection: Connection, other: Connection, database_url: str, threads: ThreadPoolExecutor
) -> None:
    """A deadlock of the test's own making: the client is the one that PostgreSQL picks, and tries again."""
    client.submit([job("a"), job("b")])
    connection.execute(f"ALTER DATABASE {connection.info.dbname} SET deadlock_timeout = '500ms'".encode())
    with Client(database_url) as victim:
        other.execute("SET LOCAL deadlock_timeout = '60s'")
        other.execute("SELECT FROM job WHERE job_id = 'b' FOR UPDATE")
        cancelling = threads.submit(victim.cancel, ["a", "b"])
        wait_until_blocked(connection)
        other.execute("SELECT FROM job WHERE job_id = 'a' FOR UPDATE")
        other.commit()
        assert [changed.changed for changed in cancelling.result(30)] == [True, True]
