"""Waiting for jobs to end."""

import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import job, set_status
from tracker import Client, JobNotFound, JobStatus, WaitTimedOut
from tracker.jobs import query
from tracker.store.steps import Sleep


def later(act: Callable[[], object]) -> threading.Thread:
    """Do something once the wait has begun: it looks again every 20 ms at first."""
    thread = threading.Timer(0.1, act)
    thread.start()
    return thread


def test_jobs_that_have_ended_are_returned_at_once(client: Client, connection: Connection) -> None:
    client.submit([job("a"), job("b"), job("c")])
    set_status(connection, "a", JobStatus.COMPLETED)
    set_status(connection, "b", JobStatus.FAILED)
    set_status(connection, "c", JobStatus.CANCELLED)
    ended = client.wait(["c", "a", "b", "a"], 5)
    assert [(str(found), found.status) for found in ended] == [
        ("default:c", "Cancelled"),
        ("default:a", "Completed"),
        ("default:b", "Failed"),
    ]


def test_the_wait_ends_when_the_last_job_has_ended(client: Client, connection: Connection) -> None:
    submitted = client.submit([job("a"), job("b")])
    set_status(connection, "a", JobStatus.COMPLETED)
    seen: list[int] = []
    thread = later(lambda: set_status(connection, "b", JobStatus.COMPLETED))
    ended = client.wait(submitted, 30, on_change=seen.append)
    thread.join()
    assert {found.status for found in ended} == {JobStatus.COMPLETED}
    assert seen == [1, 0]


def test_time_may_be_up(client: Client) -> None:
    client.submit([job("a"), job("b")])
    with pytest.raises(WaitTimedOut, match=r"after 0.2 s: default:a, default:b"):
        client.wait(["a", "b"], 0.2)


def test_it_looks_again_until_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes only while it sleeps."""
    slept_s: list[float] = []
    monkeypatch.setattr(query, "time", SimpleNamespace(monotonic=lambda: sum(slept_s)))
    verb = query.wait_for_jobs("a", 10.0).begin()

    def run() -> None:
        step = next(verb)
        while True:
            if isinstance(step, Sleep):
                slept_s.append(step.seconds)
            step = verb.send([(0, JobStatus.ACTIVE.number)])

    with pytest.raises(WaitTimedOut):
        run()
    assert sum(slept_s) == pytest.approx(10.0)
    assert 20 < len(slept_s) < 60


def test_a_timeout_of_zero_looks_once(client: Client, connection: Connection) -> None:
    client.submit([job("a")])
    with pytest.raises(WaitTimedOut):
        client.wait("a", 0)
    set_status(connection, "a", JobStatus.COMPLETED)
    assert client.wait("a", 0)[0].status is JobStatus.COMPLETED


def test_a_job_that_is_not_there_or_is_deleted_meanwhile_is_an_error(
    client: Client, connection: Connection
) -> None:
    with pytest.raises(JobNotFound, match="default:a"):
        client.wait("a", 5)
    client.submit([job("a")])
    thread = later(lambda: connection.execute("DELETE FROM job"))
    with pytest.raises(JobNotFound, match="default:a"):
        client.wait("a", 30)
    thread.join()


def test_no_jobs_have_ended(client: Client) -> None:
    assert client.wait([], 5) == []


def test_the_wait_holds_no_connection(database_url: str) -> None:
    with Client(database_url, max_connections=1) as client:
        client.submit([job("a")])
        thread = later(lambda: client.cancel("a"))
        assert client.wait("a", 30)[0].status is JobStatus.CANCELLED
        thread.join()
