"""A batch that releases a job while the client ends, pauses, resumes or suspends it.

Each test holds one transaction open, begins the other, waits until it is blocked or done, and commits.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.store.scheduling import sent_now
from tests.support.sessions import Observer, Worker, job, open_session, perform
from tracker import Client
from tracker.jobs import cascade, change
from tracker.store.schedule_store import ScheduleStore
from tracker.store.steps import Prepared


@pytest.mark.parametrize("verb", [cascade.cancel, change.delete])
def test_a_job_that_ends_while_its_prerequisite_completes_is_not_released(
    client: Client,
    observer: Observer,
    workers: list[Worker],
    database_url: str,
    threads: ThreadPoolExecutor,
    verb: Callable[..., Prepared[object]],
) -> None:
    client.submit([job("a"), job("d", "a")])
    with open_session(database_url) as session:
        perform(session, verb("d"))
        completing = threads.submit(workers[0].run, complete="a")
        observer.wait_until_blocked()
        session.commit()
    completing.result(30)
    assert workers[0].starts() == []
    assert [observer.left(table) for table in ("outbox", "prerequisite")] == [0, 0]


@pytest.mark.parametrize("verb", [cascade.cancel, change.delete])
def test_a_job_that_ends_while_it_is_released_is_not_sent(
    client: Client,
    observer: Observer,
    workers: list[Worker],
    database_url: str,
    threads: ThreadPoolExecutor,
    verb: Callable[..., Prepared[object]],
) -> None:
    client.submit([job("a"), job("d", "a")])
    with open_session(database_url) as session:
        with workers[0].batch(complete="a"):
            ending = threads.submit(perform, session, verb("d"))
            observer.wait_until_blocked()
        ending.result(30)
        session.commit()
    assert workers[0].starts() == []
    workers[0].clear()
    assert [observer.left(table) for table in ("outbox", "prerequisite")] == [0, 0]
    assert (
        observer.rows("SELECT FROM task_message JOIN job USING (tenant_key, job_key) WHERE job_id = 'd'")
        == []
    )


def test_a_job_that_is_paused_while_its_prerequisite_completes_is_sent_once_it_is_resumed(
    client: Client,
    observer: Observer,
    workers: list[Worker],
    scheduler: ScheduleStore,
    database_url: str,
    threads: ThreadPoolExecutor,
) -> None:
    client.submit([job("a"), job("d", "a")])
    with open_session(database_url) as session:
        perform(session, change.pause("d"))
        completing = threads.submit(workers[0].run, complete="a")
        observer.wait_until_blocked()
        session.commit()
    completing.result(30)
    assert workers[0].starts() == []
    assert "d" not in sent_now(scheduler)
    client.resume("d")
    assert "d" in sent_now(scheduler)
    assert (
        observer.one("SELECT count(*) FROM outbox JOIN job USING (tenant_key, job_key) WHERE job_id = 'd'")
        == 1
    )


def test_a_job_that_is_resumed_while_its_prerequisite_completes_is_sent_once(
    client: Client,
    observer: Observer,
    workers: list[Worker],
    scheduler: ScheduleStore,
    database_url: str,
    threads: ThreadPoolExecutor,
) -> None:
    """The batch sees the job as it was before, Paused, and the pending task as it is after."""
    client.submit([job("a"), job("d", "a")])
    client.pause("d")
    with open_session(database_url) as session:
        perform(session, change.resume("d"))
        completing = threads.submit(workers[0].run, complete="a")
        observer.wait_until_blocked()
        session.commit()
    completing.result(30)
    assert workers[0].starts().count("d") + sent_now(scheduler).count("d") == 1


def test_a_job_that_is_paused_while_it_is_released_is_sent_once(
    client: Client,
    observer: Observer,
    workers: list[Worker],
    scheduler: ScheduleStore,
    database_url: str,
    threads: ThreadPoolExecutor,
) -> None:
    client.submit([job("a"), job("d", "a")])
    with open_session(database_url) as session:
        with workers[0].batch(complete="a"):
            pausing = threads.submit(perform, session, change.pause("d"))
            observer.wait_until_blocked()
        pausing.result(30)
        session.commit()
    assert workers[0].starts() == ["d"]
    client.resume("d")
    assert "d" not in sent_now(scheduler)


def test_a_partition_suspended_while_its_job_is_released_is_either_before_or_after(
    client: Client, workers: list[Worker], scheduler: ScheduleStore, database_url: str
) -> None:
    client.submit([job("a"), job("d", "a")])
    with open_session(database_url) as session:
        perform(session, change.suspend_partition("default"))
        workers[0].run(complete="a")  # waits for nobody
        session.commit()
    assert workers[0].starts() == ["d"]
    client.submit([job("b"), job("e", "b")])
    workers[0].run(complete="b")
    assert workers[0].starts() == ["d"]
    assert sent_now(scheduler) == []
    client.resume_partition("default")
    assert "e" in sent_now(scheduler)
