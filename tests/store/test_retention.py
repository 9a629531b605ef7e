"""What retention removes, what it leaves, and what it does at the same moment as others."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from tests.support.sessions import TASK, Observer, Steps, Worker, job, open_session, perform
from tracker import Client, NewJob
from tracker.errors import JobNotFound
from tracker.job_status import JobStatus
from tracker.jobs import change
from tracker.jobs.submit import submit
from tracker.store.retention_store import START, JobKey, RetentionStore

HOUR_S = 3600
CHILDREN = 50
AGE = "UPDATE job SET create_time = now() - interval '2 h', last_update_time = now() - interval '2 h'"


@pytest.fixture
def retention(database_url: str) -> Iterator[RetentionStore]:
    """It keeps ended and failed jobs for an hour."""
    store = RetentionStore(database_url, HOUR_S, HOUR_S)
    assert store.try_lock()
    with closing(store):
        yield store


def change_rows(observer: Observer, statement: str) -> None:
    observer._connection.execute(statement.encode())


def make_old(observer: Observer, **statuses: int) -> None:
    """Give jobs a status, two hours ago."""
    for job_id, status in statuses.items():
        change_rows(observer, f"{AGE}, status = {status} WHERE job_id = '{job_id}'")


def sweep(store: RetentionStore, limit: int = 10_000) -> dict[JobStatus, int]:
    """Remove all that is to be removed."""
    cursor, counts = START, dict[JobStatus, int]()
    while cursor is not None:
        found = store.find(cursor, limit)
        for removed in store.remove(found.expired) if found.expired else []:
            counts[removed.status] = counts.get(removed.status, 0) + removed.count
            assert removed.age_s > HOUR_S
        if found.next_cursor is None:
            break
        cursor = found.next_cursor
    while store.remove_leftovers(limit):
        pass
    return counts


def left(observer: Observer) -> list[str]:
    return [job_id for (job_id,) in observer.rows("SELECT job_id FROM job ORDER BY job_id")]


def found_keys(store: RetentionStore) -> list[JobKey]:
    return store.find(START, 1000).expired


def test_what_ended_long_ago_is_removed_and_nothing_else(
    client: Client, observer: Observer, retention: RetentionStore
) -> None:
    names = [f"{age}_{status}" for age in ("old", "late", "new") for status in range(6)]
    client.submit([job(name) for name in names])
    for status in range(6):
        make_old(observer, **{f"old_{status}": status, f"late_{status}": status})
        change_rows(observer, f"UPDATE job SET status = {status} WHERE job_id = 'new_{status}'")
    change_rows(observer, "UPDATE job SET last_update_time = now() WHERE job_id ^@ 'late'")
    assert sweep(retention) == {JobStatus.FAILED: 1, JobStatus.CANCELLED: 1, JobStatus.COMPLETED: 1}
    assert left(observer) == sorted(set(names) - {"old_3", "old_4", "old_5"})
    assert sweep(retention) == {}


@pytest.mark.parametrize(
    ("ended_s", "failed_s", "gone"),
    [
        (HOUR_S, None, {"cancelled", "completed"}),
        (None, HOUR_S, {"failed"}),
        (3 * HOUR_S, HOUR_S, {"failed"}),
    ],
)
def test_failed_jobs_have_a_time_of_their_own(
    database_url: str,
    client: Client,
    observer: Observer,
    ended_s: int | None,
    failed_s: int | None,
    gone: set[str],
) -> None:
    names = {"failed": 3, "cancelled": 4, "completed": 5}
    client.submit([job(name) for name in names])
    make_old(observer, **names)
    with closing(RetentionStore(database_url, ended_s, failed_s)) as store:
        assert store.try_lock()
        sweep(store)
    assert set(left(observer)) == set(names) - gone


@pytest.mark.parametrize("limit", [2, 3, 7, 1000])
def test_the_walk_comes_to_every_job_of_every_tenant(
    client: Client, observer: Observer, retention: RetentionStore, limit: int
) -> None:
    """Tenants with many, with none, with young ones only; jobs of the same moment."""
    for tenant in range(12):
        name = f"tenant-{tenant}"
        if tenant % 3 == 0:
            client.suspend_partition(name)
        else:
            client.submit([NewJob(partition_id=name, id=f"job-{n}", task=TASK) for n in range(tenant)])
    client.submit([NewJob(partition_id="young", id=f"job-{n}", task=TASK) for n in range(5)])
    change_rows(observer, f"{AGE}, status = 5 FROM tenant WHERE partition_id <> 'young'"
                " AND tenant.tenant_key = job.tenant_key")  # fmt: skip
    change_rows(observer, "UPDATE job SET status = 1 WHERE job_key % 3 = 0")
    kept = observer.one("SELECT count(*) FROM job JOIN tenant USING (tenant_key)"
                        " WHERE status < 5 OR partition_id = 'young'")  # fmt: skip
    removed = sweep(retention, limit)[JobStatus.COMPLETED]
    assert observer.left("job") == kept
    assert removed + kept == sum(n for n in range(12) if n % 3) + 5


def test_all_that_belongs_to_it_goes_in_steps(
    client: Client, observer: Observer, retention: RetentionStore
) -> None:
    client.submit(
        [job("first"), job("gone", "first", labels={"colour": "red"}), job("kept", labels={"a": "b"})]
    )
    for table, columns, values in (
        ("sibling_tasks", "path, number, tasks", "n::text, 0, ''"),
        ("task_block", "path, block, completed", "'', n, '\\x01'"),
        ("task_failure", "path, failure_id, failure_time_ms, failure_source, failure_message",
         "n::text, '', 0, '', ''"),
    ):  # fmt: skip
        change_rows(
            observer,
            f"INSERT INTO {table} (tenant_key, job_key, {columns})"
            f" SELECT tenant_key, job_key, {values} FROM job, generate_series(1, {CHILDREN}) AS n"
            " WHERE job_id <> 'first'",
        )
    make_old(observer, gone=3)
    retention.remove(found_keys(retention))
    assert left(observer) == ["first", "kept"]
    tables = (
        "label",
        "task_message",
        "prerequisite",
        "sibling_tasks",
        "task_block",
        "task_failure",
        "removed_job",
    )
    assert [observer.left(table) for table in tables] == [
        1,
        2,
        0,
        2 * CHILDREN,
        2 * CHILDREN,
        2 * CHILDREN,
        1,
    ]
    assert retention.remove_leftovers(20) == 60
    assert observer.left("sibling_tasks") == 2 * CHILDREN - 20
    while retention.remove_leftovers(20):
        pass
    assert [observer.left(table) for table in tables] == [1, 2, 0, CHILDREN, CHILDREN, CHILDREN, 0]


def test_a_job_that_others_wait_for_stays_until_none_does(
    client: Client, observer: Observer, retention: RetentionStore
) -> None:
    client.submit([job("failed"), job("cancelled"), job("dependent", "failed", "cancelled")])
    make_old(observer, failed=3, cancelled=4)
    assert sweep(retention) == {}
    client.delete("dependent")
    assert sweep(retention) == {JobStatus.FAILED: 1, JobStatus.CANCELLED: 1}


@pytest.mark.parametrize("table", ["outbox", "resumed_job", "held_message"])
def test_a_job_of_which_something_is_to_be_sent_stays(
    client: Client, observer: Observer, retention: RetentionStore, table: str
) -> None:
    client.submit([job("a")])
    make_old(observer, a=5)
    columns, values = {
        "outbox": (", send_number", ", 1"),
        "resumed_job": ("", ""),
        "held_message": (", destination, message_value", ", 'x', 'x'"),
    }[table]
    change_rows(
        observer,
        f"INSERT INTO {table} (tenant_key, job_key{columns}) SELECT tenant_key, job_key{values} FROM job",
    )
    assert sweep(retention) == {}
    assert [observer.left(each) for each in ("job", table, "task_message")] == [1, 1, 1]
    change_rows(observer, f"DELETE FROM {table}")
    assert sweep(retention) == {JobStatus.COMPLETED: 1}


def test_one_store_at_a_time_removes(database_url: str, retention: RetentionStore) -> None:
    with closing(RetentionStore(database_url, HOUR_S, None)) as other:
        assert not other.try_lock()
        retention.close()
        assert other.try_lock()
        assert not retention.try_lock()


# At the same moment


def test_one_that_is_worked_on_is_passed_over(
    client: Client, observer: Observer, retention: RetentionStore, database_url: str
) -> None:
    client.submit([job("busy"), job("idle")])
    make_old(observer, busy=3, idle=3)
    found = found_keys(retention)
    with open_session(database_url) as session:
        session.execute("SELECT FROM job WHERE job_id = 'busy' FOR NO KEY UPDATE")
        assert [removed.count for removed in retention.remove(found)] == [1]
    assert left(observer) == ["busy"]


@pytest.mark.parametrize(
    "then", ["status = 1", "status = 5, last_update_time = now()", "last_update_time = now()"]
)
def test_one_that_has_changed_since_it_was_seen_stays(
    client: Client, observer: Observer, retention: RetentionStore, then: str
) -> None:
    client.submit([job("a")])
    make_old(observer, a=3)
    found = found_keys(retention)
    assert len(found) == 1
    change_rows(observer, f"UPDATE job SET {then}")
    assert retention.remove(found) == []
    assert left(observer) == ["a"]


def test_jobs_that_failed_together_are_removed_together(
    client: Client, observer: Observer, retention: RetentionStore, worker: Worker
) -> None:
    """What they waited for is still stored, and keeps none of them."""
    client.submit([job("a"), job("b", "a"), job("c", "b"), job("waiting", "later")])
    worker.run(fail="a")
    assert [observer.status(name) for name in "abc"] == [3, 3, 3]
    make_old(observer, a=3, b=3, c=3)
    retention.remove(found_keys(retention))
    assert left(observer) == ["waiting"]
    assert observer.rows("SELECT prerequisite_job_id FROM prerequisite") == [("later",)]


def test_one_whose_dependent_is_being_submitted_stays(
    client: Client, observer: Observer, retention: RetentionStore, database_url: str
) -> None:
    """A submit share-locks what its jobs wait for, and then stores the edge."""
    client.submit([job("a")])
    make_old(observer, a=4)
    found = found_keys(retention)
    with open_session(database_url) as session:
        session.execute("SELECT FROM job WHERE job_id = 'a' FOR SHARE")
        session.execute(
            """
            WITH dependent AS (
                INSERT INTO job (tenant_key, job_id, content_hash)
                SELECT tenant_key, 'dependent', '' FROM job
                RETURNING tenant_key, job_key
            )
            INSERT INTO prerequisite (tenant_key, prerequisite_job_id, job_key)
            SELECT tenant_key, 'a', job_key FROM dependent
            """
        )
        assert retention.remove(found) == []
        session.commit()
    assert retention.remove(found) == []
    assert left(observer) == ["a", "dependent"]


def test_a_submit_that_comes_second_waits_and_finds_no_job(
    client: Client,
    observer: Observer,
    retention: RetentionStore,
    database_url: str,
    threads: ThreadPoolExecutor,
) -> None:
    """Its dependent then waits for a job that does not exist yet."""
    client.submit([job("a")])
    with open_session(database_url) as session:
        steps = Steps(session, submit([job("dependent", "a")]).begin())
        steps.run(before="lock_tenants_for_submit")
        make_old(observer, a=4)
        with retention._open.transaction():
            retention.remove(found_keys(retention))
            submitting = threads.submit(steps.run)
            observer.wait_until_blocked()
        submitting.result()
    assert (left(observer), observer.unmet("dependent")) == (["dependent"], 1)
    client.submit([job("a", name="again")])
    assert left(observer) == ["a", "dependent"]


def test_a_batch_with_a_late_message_waits_and_finds_no_job(
    client: Client,
    observer: Observer,
    retention: RetentionStore,
    worker: Worker,
    threads: ThreadPoolExecutor,
) -> None:
    client.submit([job("a"), job("b")])
    make_old(observer, a=3)

    def late() -> list[str]:
        with worker.store.transaction():
            return list(worker.look_up(["a", "b"], []))

    with retention._open.transaction():
        retention.remove(found_keys(retention))
        looked_up = threads.submit(late)
        observer.wait_until_blocked()
    assert looked_up.result() == ["b"]


def test_a_delete_at_the_same_moment_finds_no_job(
    client: Client, observer: Observer, retention: RetentionStore, threads: ThreadPoolExecutor
) -> None:
    client.submit([job("a")])
    make_old(observer, a=5)
    with retention._open.transaction():
        retention.remove(found_keys(retention))
        deleting = threads.submit(client.delete, "a")
        observer.wait_until_blocked()
    with pytest.raises(JobNotFound):
        deleting.result()
    assert [observer.left(table) for table in ("job", "task_message")] == [0, 0]


def test_a_delete_that_comes_first_leaves_nothing_to_remove(
    client: Client, observer: Observer, retention: RetentionStore, database_url: str
) -> None:
    client.submit([job("a")])
    make_old(observer, a=5)
    found = found_keys(retention)
    with open_session(database_url) as session:
        perform(session, change.delete("a"))
        assert retention.remove(found) == []
        session.commit()
    assert retention.remove(found) == []


def test_it_gives_up_rather_than_wait_for_long(
    client: Client, observer: Observer, retention: RetentionStore, database_url: str
) -> None:
    """It holds jobs locked meanwhile, and batches with messages of them wait."""
    client.submit([job("a")])
    make_old(observer, a=5)
    found = found_keys(retention)
    with open_session(database_url) as session:
        session.execute("SELECT FROM task_message FOR UPDATE")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            retention.remove(found)
    assert [removed.count for removed in retention.remove(found)] == [1]


def test_edges_are_locked_before_pending_tasks(
    client: Client,
    observer: Observer,
    retention: RetentionStore,
    threads: ThreadPoolExecutor,
    database_url: str,
) -> None:
    """As by everyone: a batch that completes the prerequisite of an ended job locks them so."""
    client.submit([job("first"), job("ended", "first")])
    make_old(observer, ended=3)
    retention._open.execute("SET lock_timeout = 0")
    found = found_keys(retention)
    with open_session(database_url) as session:
        session.execute("SELECT FROM prerequisite FOR UPDATE")
        removing = threads.submit(retention.remove, found)
        observer.wait_until_blocked()
        session.execute("SELECT FROM task_message FOR UPDATE NOWAIT")
    assert [removed.count for removed in removing.result()] == [1]


def test_prerequisites_are_met_while_their_dependents_are_removed(
    client: Client, observer: Observer, retention: RetentionStore, worker: Worker
) -> None:
    names = [f"job-{number}" for number in range(20)]
    client.submit([job("first"), *(job(name, "first") for name in names)])
    make_old(observer, **dict.fromkeys(names, 3))
    with worker.batch(complete="first"), pytest.raises(psycopg.errors.LockNotAvailable):
        retention.remove(found_keys(retention))
    retention.remove(found_keys(retention))
    assert left(observer) == ["first"]
    assert [observer.left(table) for table in ("prerequisite", "task_message", "outbox")] == [0, 1, 0]
