"""A change by hand, and a batch, a submit or the scheduler at the same moment.

Each test holds one transaction open, begins the other, waits until it is blocked, and commits.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.store.scheduling import sent_now
from tests.support.sessions import COMMIT, Observer, Steps, Worker, job, open_session, perform
from tracker import Client, JobRefused
from tracker.job_status import JobStatus
from tracker.jobs.by_hand import change_prerequisites, release
from tracker.jobs.submit import submit
from tracker.store.schedule_store import ScheduleStore

DUE = """
    SELECT unmet, eligible_time IS NOT NULL, sent_time IS NOT NULL
    FROM task_message JOIN job USING (tenant_key, job_key) WHERE job_id = %s
"""


def test_a_batch_that_meets_the_last_prerequisite_first_has_sent_the_job(
    client: Client, observer: Observer, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a"), job("d", "a")])
    with workers[0].batch(complete="a"):
        releasing = threads.submit(client.release, "d")
        observer.wait_until_blocked()
    assert releasing.result(30).removed == []
    assert workers[0].starts() == ["d"]
    assert observer.rows(DUE, "d") == [(0, False, True)]
    assert observer.left("action") == 0


def test_a_batch_that_comes_after_a_release_sends_nothing(
    client: Client, observer: Observer, database_url: str, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a"), job("d", "a")])
    with open_session(database_url) as session:
        perform(session, release("d"))
        completing = threads.submit(workers[0].run, complete="a")
        observer.wait_until_blocked()
        session.commit()
    completing.result(30)
    assert workers[0].starts() == []
    assert observer.rows(DUE, "d") == [(0, True, False)]


def test_one_prerequisite_is_met_while_the_other_is_removed(
    client: Client, observer: Observer, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a"), job("b"), job("d", "a", "b")])
    with workers[0].batch(complete="a"):
        removing = threads.submit(client.change_prerequisites, "d", remove="b")
        observer.wait_until_blocked()
    assert removing.result(30).unmet == 0
    assert workers[0].starts() == []
    assert observer.rows(DUE, "d") == [(0, True, False)]


def test_one_prerequisite_is_removed_while_the_other_is_met(
    client: Client, observer: Observer, database_url: str, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a"), job("b"), job("d", "a", "b")])
    with open_session(database_url) as session:
        assert perform(session, change_prerequisites("d", remove="b")).unmet == 1
        completing = threads.submit(workers[0].run, complete="a")
        observer.wait_until_blocked()
        session.commit()
    completing.result(30)
    assert workers[0].starts() == ["d"]
    assert observer.rows(DUE, "d") == [(0, False, True)]


def test_one_that_completes_while_it_is_added_does_not_count(
    client: Client, observer: Observer, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a"), job("b"), job("d", "b")])
    with workers[0].batch(complete="a"):
        adding = threads.submit(client.change_prerequisites, "d", add="a")
        observer.wait_until_blocked()
    assert adding.result(30).added == []
    assert observer.unmet("d") == 1
    assert observer.left("prerequisite") == 1


def test_one_that_is_added_while_it_completes_is_met(
    client: Client, observer: Observer, database_url: str, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a"), job("d")])
    with open_session(database_url) as session:
        assert perform(session, change_prerequisites("d", add="a")).unmet == 1
        completing = threads.submit(workers[0].run, complete="a")
        observer.wait_until_blocked()
        session.commit()
    completing.result(30)
    assert workers[0].starts() == ["d"]


def test_one_that_fails_while_it_is_added_is_refused(
    client: Client, observer: Observer, workers: list[Worker], threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a"), job("d")])
    with workers[0].batch(fail="a"):
        adding = threads.submit(client.change_prerequisites, "d", add="a")
        observer.wait_until_blocked()
    with pytest.raises(JobRefused, match="a prerequisite has failed: default:a, for default:d"):
        adding.result(30)
    assert observer.left("prerequisite") == 0


def test_one_that_is_submitted_while_it_is_added_is_waited_for(
    client: Client, observer: Observer, database_url: str, threads: ThreadPoolExecutor, workers: list[Worker]
) -> None:
    """The submit has its locks, and nobody else sees its rows before it commits."""
    client.submit([job("d")])
    with open_session(database_url) as session:
        Steps(session, submit([job("a")]).begin()).run(before=COMMIT)
        adding = threads.submit(client.change_prerequisites, "d", add="a,pc")
        observer.wait_until_blocked()
        session.commit()
    assert (adding.result(30).added, adding.result(30).warnings) == (["a"], ())
    workers[0].run(complete="a")
    assert workers[0].starts() == ["d"]


def test_two_halves_of_a_cycle_at_once_are_not_both_stored(
    client: Client, observer: Observer, database_url: str, threads: ThreadPoolExecutor
) -> None:
    """They have no job in common that both lock."""
    client.submit([job("a"), job("c"), job("b", "c"), job("d", "a")])
    with open_session(database_url) as session:
        perform(session, change_prerequisites("a", add="b"))
        adding = threads.submit(client.change_prerequisites, "c", add="d")
        observer.wait_until_blocked()
        session.commit()
    with pytest.raises(JobRefused, match="c -> d -> a -> b -> c"):
        adding.result(30)


def test_a_submit_that_would_close_a_cycle_with_an_edge_that_is_being_added_is_refused(
    client: Client, observer: Observer, database_url: str, threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a")])
    with open_session(database_url) as session:
        perform(session, change_prerequisites("a", add="b"))
        submitting = threads.submit(client.submit, [job("b", "a")])
        observer.wait_until_blocked()
        session.commit()
    with pytest.raises(JobRefused, match="cycle"):
        submitting.result(30)


def test_a_job_that_the_scheduler_sends_first_is_refused(
    client: Client, observer: Observer, scheduler: ScheduleStore, threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a"), job("d")])
    client.pause("a")
    with scheduler.transaction():
        scheduler.enqueue_due(5)
        assert len(scheduler.read_outbox(0, 5, 1 << 20)) == 1
        adding = threads.submit(client.change_prerequisites, "d", add="a")
        observer.wait_until_blocked()
    with pytest.raises(JobRefused, match="default:d has been sent already"):
        adding.result(30)
    assert observer.status("d") == JobStatus.WAITING.number


def test_a_job_that_waits_again_is_not_sent(
    client: Client, observer: Observer, database_url: str, scheduler: ScheduleStore
) -> None:
    client.submit([job("d")])
    with open_session(database_url) as session:
        perform(session, change_prerequisites("d", add="a"))
        assert sent_now(scheduler) == []  # it skips what is locked
        session.commit()
    assert sent_now(scheduler) == []
    assert observer.left("outbox") == 0
    assert observer.rows(DUE, "d") == [(1, False, False)]
