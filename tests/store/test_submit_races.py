"""A submit and what happens while its rows are stored, and while it has its locks.

The submit runs step by step on a session of the test's, up to its locks or up to its commit.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support.sessions import COMMIT, Observer, Steps, Worker, job
from tracker import Client, JobRefused, NewJob
from tracker.jobs import prerequisites
from tracker.jobs.submit import submit
from tracker.store.connect import connect
from tracker.store.schedule_store import ScheduleStore
from tracker.store.steps import Query

LOCKS = "lock_tenants_for_submit"
WAITING, FAILED, COMPLETED = 0, 3, 5


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    """A client that does not wait for locks for long."""
    with Client(make_conninfo(database_url, options="-c lock_timeout=5s"), max_connections=4) as client:
        yield client


@pytest.fixture
def worker(worker: Worker) -> Worker:
    """A worker that does not either."""
    worker.store._open.execute("SET lock_timeout = '5s'")
    return worker


@pytest.fixture
def begin(database_url: str) -> Iterator[Callable[..., Steps]]:
    """Begin a submit on a session of its own, and run it up to the named statement."""
    sessions: list[psycopg.Connection[Any]] = []

    def begin(*jobs: NewJob, before: str = LOCKS) -> Steps:
        sessions.append(connect(database_url))
        steps = Steps(sessions[-1], submit(jobs).begin())
        steps.run(before=before)
        return steps

    yield begin
    for session in sessions:
        session.close()


Begin = Callable[..., Steps]


def waits_for(observer: Observer, job_id: str) -> tuple[int, bool, int]:
    """Return how many prerequisites a job waits for, whether it is eligible, and how many edges it has."""
    [found] = observer.rows(
        """
        SELECT unmet, eligible_time IS NOT NULL,
               (SELECT count(*) FROM prerequisite WHERE prerequisite.job_key = job.job_key)
        FROM job JOIN task_message USING (tenant_key, job_key)
        WHERE job_id = %s
        """,
        job_id,
    )
    return found


def advisory_locks(observer: Observer) -> int:
    return int(
        observer.one(
            """
            SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
            WHERE locktype = 'advisory' AND datname = current_database()
            """
        )
    )


# While the rows are stored


def test_nobody_waits_for_a_submit_that_stores_its_rows(
    client: Client, observer: Observer, worker: Worker, begin: Begin
) -> None:
    client.submit([job(name) for name in ("running", "cancelled", "deleted", "paused")])
    steps = begin(
        job("d", "running", "deleted", "later"),
        job("e", "d"),
        job("f", partition_id="new"),
        job("g", "paused"),
    )
    worker.run(complete="running")
    client.submit([job("other", "running"), job("late", "paused", "later"), job("late too", "d")])
    client.submit([job("other", partition_id="new"), job("after", "f", partition_id="new")])
    client.submit([job("later")])
    client.pause("paused")
    client.cancel("cancelled")
    client.delete("deleted")
    client.suspend_partition(["new", "default"])
    assert client.count() == 10 - 1
    steps.run()
    assert waits_for(observer, "d") == (2, False, 2)
    assert waits_for(observer, "e") == (1, False, 1)
    assert [job.created for job in steps.answer] == [True] * 4


def test_what_a_partition_id_that_is_suspended_meanwhile_has_is_stored_and_not_sent(
    client: Client, begin: Begin, database_url: str
) -> None:
    steps = begin(job("a"))
    client.suspend_partition("default")
    steps.run()
    with closing(ScheduleStore(database_url)) as scheduler:
        scheduler.connect()
        for suspended in (True, False):
            with scheduler.transaction():
                scheduler.enqueue_due(10)
                assert len(scheduler.read_outbox(0, 10, 1 << 20)) == (not suspended)
            client.resume_partition("default")


def test_a_submit_holds_no_lock_of_others_rows_while_it_stores_its_own(
    client: Client, observer: Observer, begin: Begin
) -> None:
    client.submit([job("running"), job("dependent", "running")])
    begin(job("d", "running"), job("e", partition_id="new"))
    for table in ("job", "prerequisite", "task_message", "tenant"):
        locked = observer.rows(f"SELECT * FROM {table} FOR UPDATE SKIP LOCKED")
        assert len(locked) == observer.left(table)
    assert advisory_locks(observer) == 0


def test_what_is_done_under_the_locks_does_not_grow_with_the_number_of_jobs(
    client: Client, database_url: str
) -> None:
    client.submit([job("running"), job("first")])

    def values_under_locks(count: int) -> list[tuple[object, int]]:
        done: list[tuple[object, int]] = []
        verb = submit(job(f"{count}-{number}", "running", "first") for number in range(count)).begin()
        with connect(database_url) as session:
            steps = Steps(session, verb)
            steps.run(before=LOCKS)
            while not steps.is_at(COMMIT):
                step = steps.next
                assert isinstance(step, Query), "rows are copied under the locks"
                values = [value for value in step.parameters.values() if isinstance(value, list)]
                done.append((step.statement, sum(map(len, values))))
                steps.run_one()
            session.rollback()
        return done

    few = values_under_locks(prerequisites.MAX_LOOKED_UP + 1)
    assert few == values_under_locks(2 * prerequisites.MAX_LOOKED_UP)
    assert max(values for _, values in few) <= 4


# A prerequisite that changes while the rows are stored


@pytest.mark.parametrize("most", [0, 2_000])
def test_a_prerequisite_that_completes_while_the_rows_are_stored_does_not_count(
    client: Client,
    observer: Observer,
    worker: Worker,
    begin: Begin,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
) -> None:
    monkeypatch.setattr(prerequisites, "MAX_MET_UNDER_LOCKS", most)
    client.submit([job("a"), job("b")])
    steps = begin(job("only", "a"), job("both", "a", "b"), job("other", "b"), job("late", "a", delay=3600))
    worker.run(complete="a")
    steps.run()
    assert waits_for(observer, "only") == (0, True, 0)
    assert waits_for(observer, "both") == (1, False, 1)
    assert waits_for(observer, "other") == (1, False, 1)
    assert waits_for(observer, "late") == (0, True, 0)
    assert observer.one("SELECT count(*) FROM task_message WHERE eligible_time > now() + '30 min'") == 1
    worker.run(complete="b")
    assert sorted(worker.starts()) == ["both", "other"]


def test_many_edges_are_taken_away_without_the_locks(
    client: Client, observer: Observer, worker: Worker, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what changes meanwhile is seen under the next ones."""
    monkeypatch.setattr(prerequisites, "MAX_MET_UNDER_LOCKS", 5)
    client.submit([job("a"), job("b")])
    steps = begin(*(job(f"d{number}", "a", "b") for number in range(10)), job("e", "b"))
    worker.run(complete="a")
    steps.run(before="delete_new_edges")
    assert advisory_locks(observer) == 0
    assert len(observer.rows("SELECT FROM job FOR UPDATE SKIP LOCKED")) == 2
    worker.run(complete="b")
    steps.run()
    assert [waits_for(observer, f"d{number}") for number in range(10)] == [(0, True, 0)] * 10
    assert waits_for(observer, "e") == (0, True, 0)


@pytest.mark.parametrize("what", ["has failed", "was cancelled"])
def test_a_prerequisite_that_fails_while_the_rows_are_stored_is_refused_and_nothing_is_stored(
    client: Client, observer: Observer, worker: Worker, begin: Begin, what: str
) -> None:
    client.submit([job("a")])
    steps = begin(job("d", "a"), job("other"))
    if what == "has failed":
        worker.run(fail="a")
    else:
        client.cancel("a")
    with pytest.raises(JobRefused, match=f"{what}: default:a, for default:d"):
        steps.run()
    steps.roll_back()
    assert observer.left("job") == 1
    assert observer.left("prerequisite") == 0


def test_a_prerequisite_that_is_deleted_while_the_rows_are_stored_is_waited_for(
    client: Client, observer: Observer, worker: Worker, begin: Begin
) -> None:
    client.submit([job("a")])
    steps = begin(job("d", "a"))
    client.delete("a")
    steps.run()
    assert waits_for(observer, "d") == (1, False, 1)
    assert steps.answer[0].warnings == ("waits for default:a, which does not exist",)
    client.submit([job("a")])
    worker.run(complete="a")
    assert worker.starts() == ["d"]


@pytest.mark.parametrize("most", [0, 2_000])
def test_a_prerequisite_that_may_be_gone_and_goes_while_the_rows_are_stored_does_not_count(
    client: Client,
    observer: Observer,
    worker: Worker,
    begin: Begin,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
) -> None:
    """It may have completed, and been removed by retention: then nothing would release the job any more."""
    monkeypatch.setattr(prerequisites, "MAX_MET_UNDER_LOCKS", most)
    client.submit([job("a"), job("b")])
    steps = begin(job("only", "a,pc"), job("both", "a,pc", "b"), job("strict", "a"))
    worker.run(complete="a")
    client.delete("a")
    steps.run()
    assert waits_for(observer, "only") == (0, True, 0)
    assert waits_for(observer, "both") == (1, False, 1)
    assert waits_for(observer, "strict") == (1, False, 1)
    assert [each.warnings for each in steps.answer] == [
        (), (), ("waits for default:a, which does not exist",)
    ]  # fmt: skip
    worker.run(complete="b")
    assert worker.starts() == ["both"]


@pytest.mark.parametrize("completes", [True, False])
def test_a_prerequisite_that_is_stored_while_the_rows_are_stored_is_not_missed(
    client: Client, observer: Observer, worker: Worker, begin: Begin, completes: bool
) -> None:
    client.submit([job("any")])
    steps = begin(job("d", "a"))
    client.submit([job("a")])
    if completes:
        worker.run(complete="a")
    steps.run()
    assert waits_for(observer, "d") == ((0, True, 0) if completes else (1, False, 1))
    worker.run(complete="a")
    assert worker.starts() == ([] if completes else ["d"])


# Under the locks


def blocked(observer: Observer, threads: ThreadPoolExecutor, act: Callable[..., Any]) -> Future[Any]:
    """Begin an act that has to wait."""
    future = threads.submit(act)
    observer.wait_until_blocked()
    return future


def test_a_prerequisite_that_completes_under_the_locks_starts_its_new_dependent(
    client: Client, observer: Observer, worker: Worker, begin: Begin, threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a")])
    steps = begin(job("d", "a"), before=COMMIT)
    completing = blocked(observer, threads, lambda: worker.run(complete="a"))
    steps.run()
    completing.result(30)
    assert worker.starts() == ["d"]
    assert observer.left("prerequisite") == 0


def test_a_prerequisite_that_fails_under_the_locks_fails_its_new_dependents(
    client: Client, observer: Observer, worker: Worker, begin: Begin, threads: ThreadPoolExecutor
) -> None:
    """The batch has looked for what is downstream before it was there, and begins again."""
    client.submit([job("a")])
    steps = begin(job("d", "a"), job("e", "d"), before=COMMIT)
    failing = blocked(observer, threads, lambda: worker.run(fail="a"))
    steps.run()
    with pytest.raises(psycopg.errors.SerializationFailure, match="submitted downstream"):
        failing.result(30)
    worker.run(fail="a")
    assert [observer.status(name) for name in "ade"] == [FAILED] * 3


def test_a_batch_that_has_the_prerequisite_is_waited_for_and_seen(
    client: Client, observer: Observer, worker: Worker, begin: Begin, threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a")])
    steps = begin(job("d", "a"))
    with worker.batch(complete="a"):
        settling = blocked(observer, threads, steps.run)
    settling.result(30)
    assert waits_for(observer, "d") == (0, True, 0)
    assert worker.starts() == []


def test_a_prerequisite_becomes_visible_before_the_last_look_or_after_the_edge(
    client: Client, observer: Observer, worker: Worker, begin: Begin, threads: ThreadPoolExecutor
) -> None:
    client.submit([job("any")])
    dependent, prerequisite = begin(job("d", "a")), begin(job("a"), before=COMMIT)
    settling = blocked(observer, threads, dependent.run)
    prerequisite.run()
    settling.result(30)
    worker.run(complete="a")
    assert worker.starts() == ["d"]
    dependent, prerequisite = begin(job("e", "b"), before=COMMIT), begin(job("b"))
    settling = blocked(observer, threads, prerequisite.run)
    dependent.run()
    settling.result(30)
    worker.run(complete="b")
    assert worker.starts() == ["d", "e"]


def test_a_submit_that_waits_only_for_its_own_jobs_blocks_no_other(client: Client, begin: Begin) -> None:
    client.submit([job("any")])
    begin(job("a"), job("b", "a"), job("c", "a", "b"), before=COMMIT)
    client.submit([job("d")])
    client.submit([job("e"), job("f", "e")])
    assert client.count() == 4


# Cycles

DIRECTIONS = pytest.mark.parametrize(
    ("looked_up", "reached"), [(5_000, 20_000), (0, 20_000), (0, 0)], ids=["below", "above", "too many above"]
)


def look_by(monkeypatch: pytest.MonkeyPatch, looked_up: int, reached: int) -> None:
    monkeypatch.setattr(prerequisites, "MAX_LOOKED_UP", looked_up)
    monkeypatch.setattr(prerequisites, "MAX_REACHED", reached)


@DIRECTIONS
@pytest.mark.parametrize(
    ("stored", "first", "second"),
    [
        ([], [job("a", "b")], [job("b", "a")]),
        ([job("x", "b")], [job("a", "x"), job("c", "a")], [job("b", "y"), job("y", "c")]),
        ([job("x", "a"), job("y", "x")], [job("b", "y")], [job("a", "b")]),
        ([], [job("a", "b")], [job("b", "c"), job("c", "a")]),
    ],
)
def test_a_cycle_of_two_submits_that_see_nothing_of_each_others_rows_is_refused(
    client: Client,
    observer: Observer,
    begin: Begin,
    monkeypatch: pytest.MonkeyPatch,
    stored: list[NewJob],
    first: list[NewJob],
    second: list[NewJob],
    looked_up: int,
    reached: int,
) -> None:
    look_by(monkeypatch, looked_up, reached)
    client.submit([job("any"), *stored])
    one, two = begin(*first), begin(*second)
    one.run()
    with pytest.raises(JobRefused, match="cycle"):
        two.run()
    two.roll_back()
    assert observer.left("job") == 1 + len(stored) + len(first)


@DIRECTIONS
def test_what_only_looks_like_a_cycle_is_stored(
    client: Client, begin: Begin, monkeypatch: pytest.MonkeyPatch, looked_up: int, reached: int
) -> None:
    """A stored job waits for a new one; the new one that waits for stored ones is another."""
    look_by(monkeypatch, looked_up, reached)
    client.submit([job("x", "a"), job("y", "x", "b")])
    steps = begin(job("a"), job("d", "y"), job("b", "c"), job("e", "d", "a"))
    client.submit([job("c"), job("z", "e", "x")])
    steps.run()
    assert client.count() == 8


def test_the_statements_that_look_for_a_cycle_do_not_count_the_new_edges(
    client: Client, database_url: str
) -> None:
    client.submit([job("any")])
    with connect(database_url) as session:
        steps = Steps(session, submit([job("a", "any"), job("b", "a")]).begin())
        steps.run(before="find_awaited_jobs")
        assert steps.is_at("find_awaited_jobs")
        steps.run_one()
        assert steps.is_at(COMMIT)
