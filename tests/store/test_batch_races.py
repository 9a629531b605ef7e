"""Two batches at the same moment, or a batch and a submit: what completes and fails downstream.

Each test holds one transaction open, begins the other, waits until it is blocked or done, and commits.
"""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.support.sessions import Observer, Worker, job, open_session
from tracker import ChangeCount, Client, JobRefused
from tracker.job_status import JobStatus

WAITING, FAILED, CANCELLED, COMPLETED = (
    status.number
    for status in (JobStatus.WAITING, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.COMPLETED)
)


def test_the_second_of_two_prerequisites_that_complete_at_once_releases(
    client: Client, observer: Observer, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    """Each sees the other's edge; the count goes through the lock of the pending task."""
    client.submit([job("a"), job("b"), job("d", "a", "b")])
    first, second = workers
    with first.batch(complete="a"):
        running = threads.submit(second.run, complete="b")
        observer.wait_until_blocked()
    running.result(30)
    assert first.starts() == []
    assert second.starts() == ["d"]
    assert observer.left("prerequisite") == 0


def test_many_dependents_of_two_prerequisites_are_released_once(
    client: Client, observer: Observer, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    names = {f"d{number}" for number in range(300)}
    client.submit([job("a"), job("b"), *(job(name, "a", "b") for name in names)])
    first, second = workers
    with first.batch(complete="a"):
        running = threads.submit(second.run, complete="b")
        observer.wait_until_blocked()
    running.result(30)
    assert first.starts() == []
    started = second.starts()
    assert len(started) == len(names)
    assert set(started) == names


def test_a_job_that_completes_while_all_that_match_are_cancelled_has_completed(
    client: Client, observer: Observer, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    """It was found before the batch committed, and is looked at again once it is locked."""
    client.submit([job("a"), job("b"), job("d", "a", "b")])
    first, _ = workers
    with first.batch(complete="a"):
        cancelling = threads.submit(client.cancel, matching="status==Waiting")
        observer.wait_until_blocked()
    assert cancelling.result(30) == ChangeCount(matched=2, changed=2, skipped=0)
    assert [observer.status(name) for name in "abd"] == [COMPLETED, CANCELLED, CANCELLED]
    assert observer.left("prerequisite") == 0


def test_a_root_that_completes_while_its_cascade_waits_is_not_cancelled_nor_what_waited_for_it(
    client: Client, observer: Observer, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a"), job("b", "a"), job("c", "b")])
    first, _ = workers
    with first.batch(complete="a"):
        cancelling = threads.submit(client.cancel, "a", cascade=True)
        observer.wait_until_blocked()
    with pytest.raises(JobRefused, match="default:a is Completed"):
        cancelling.result(30)
    assert [observer.status(name) for name in "abc"] == [COMPLETED, WAITING, WAITING]


def test_what_no_longer_waits_when_a_cascade_has_its_locks_is_not_cancelled(
    client: Client, observer: Observer, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a"), job("b", "a"), job("c", "b")])
    first, _ = workers
    with first.batch(complete="b"):
        cancelling = threads.submit(client.cancel, "a", cascade=True)
        observer.wait_until_blocked()
    assert [str(each) for each in cancelling.result(30)] == ["default:a"]
    assert [observer.status(name) for name in "abc"] == [CANCELLED, COMPLETED, WAITING]


def test_a_job_submitted_downstream_while_a_cascade_waits_is_cancelled_too(
    client: Client, observer: Observer, database_url: str, threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a"), job("b", "a")])
    with open_session(database_url) as submitting:
        submitting.execute("SELECT FROM job WHERE job_id = 'b' FOR SHARE")
        cancelling = threads.submit(client.cancel, "a", cascade=True)
        observer.wait_until_blocked()
        submitting.execute(
            """
            WITH dependent AS (
                INSERT INTO job (tenant_key, job_key, job_id, content_hash)
                SELECT tenant_key, 1000, 'c', '' FROM tenant RETURNING tenant_key, job_key
            )
            INSERT INTO prerequisite SELECT tenant_key, 'b', job_key FROM dependent
            """
        )
        submitting.commit()
    assert [str(each) for each in cancelling.result(30)] == ["default:a", "default:b", "default:c"]
    assert [observer.status(name) for name in "abc"] == [CANCELLED] * 3


def test_a_dependent_is_failed_by_one_batch_while_another_meets_its_other_prerequisite(
    client: Client, observer: Observer, workers: list[Worker]
) -> None:
    client.submit([job("a"), job("b"), job("d", "a", "b"), job("e", "d")])
    first, second = workers
    with first.batch(complete="a"):
        second.run(fail="b")
    assert [observer.status(name) for name in "abde"] == [COMPLETED, FAILED, FAILED, FAILED]
    assert observer.left("outbox") == 0
    assert observer.rows("SELECT prerequisite_job_id FROM prerequisite ORDER BY 1") == [("b",), ("d",)]


def test_a_prerequisite_met_while_its_dependent_is_being_failed_releases_nothing(
    client: Client, observer: Observer, workers: list[Worker]
) -> None:
    client.submit([job("a"), job("b"), job("d", "a", "b")])
    first, second = workers
    with first.batch(fail="b"):
        second.run(complete="a")
    assert observer.status("d") == FAILED
    assert observer.left("outbox") == 0
    assert observer.rows(
        "SELECT unmet, sent_time FROM task_message JOIN job USING (tenant_key, job_key) WHERE job_id = 'd'"
    ) == [(1, None)]


def test_a_batch_that_completes_and_fails_and_one_that_completes_do_not_wait_for_each_other(
    client: Client,
    observer: Observer,
    workers: list[Worker],
    database_url: str,
    threads: ThreadPoolExecutor,
) -> None:
    """The first waits for d's task message. It must not want e's edge after that, which the second has."""
    client.submit([job("a"), job("b"), job("c"), job("d", "a", "c"), job("e", "b", "c")])
    first, second = workers
    with open_session(database_url) as third:
        third.execute(
            "SELECT FROM task_message JOIN job USING (tenant_key, job_key) WHERE job_id = 'd' FOR UPDATE"
        )
        both = threads.submit(first.run, complete="a", fail="b")
        observer.wait_until_blocked()
        other = threads.submit(second.run, complete="c")
        observer.wait_until_blocked(2)
        third.commit()
    both.result(30)
    other.result(30)
    assert first.starts() + second.starts() == ["d"]
    assert observer.status("e") == FAILED


def test_a_job_submitted_downstream_while_the_batch_waits_is_failed_too(
    client: Client,
    observer: Observer,
    workers: list[Worker],
    database_url: str,
    threads: ThreadPoolExecutor,
) -> None:
    """It was not there when the batch looked what is downstream, and is by the time that the locks are had.

    To lock it then would be out of order; so the batch begins again.
    """
    client.submit([job("a"), job("b", "a")])
    worker = workers[0]
    with open_session(database_url) as submitting:
        submitting.execute("SELECT FROM job WHERE job_id = 'b' FOR SHARE")
        failing = threads.submit(worker.run, fail="a")
        observer.wait_until_blocked()
        submitting.execute(
            """
            WITH dependent AS (
                INSERT INTO job (tenant_key, job_key, job_id, content_hash)
                SELECT tenant_key, 1000, 'c', '' FROM tenant RETURNING tenant_key, job_key
            )
            INSERT INTO prerequisite SELECT tenant_key, 'b', job_key FROM dependent
            """
        )
        submitting.commit()
    with pytest.raises(psycopg.errors.SerializationFailure, match="submitted downstream"):
        failing.result(30)
    assert observer.status("a") == WAITING
    worker.run(fail="a")
    assert [observer.status(name) for name in "abc"] == [FAILED] * 3
