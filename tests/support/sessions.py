"""Two and three sessions at work on the same jobs, each held still where it matters."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import psycopg

from tracker import NewJob, NewTask
from tracker.fold.state import JobState
from tracker.identifiers import JobName
from tracker.job_status import JobStatus
from tracker.store.batch_store import BatchStore, CompletedJob
from tracker.store.connect import connect
from tracker.store.queries import query
from tracker.store.steps import Commit, Copy, Prepared, Query, ReadUser, Step, Verb

T = TypeVar("T")
TASK = NewTask(task_classifier="Sort", task_api_version=1, task_data="{}", task_pipe="sort-in")
TOPIC = "tracking"
EVERYTHING = 1 << 40
COMMIT = "COMMIT"


def job(job_id: str, *prerequisites: str, **fields: Any) -> NewJob:
    return NewJob(id=job_id, prerequisite_job_ids=prerequisites, task=TASK, **fields)


class Worker:
    """A worker's session. Its Kafka partition is its number; each batch has one record."""

    def __init__(self, database_url: str, number: int) -> None:
        self.store = BatchStore(database_url)
        self.store.connect()
        self.place = (TOPIC, number)
        self.offset = 0

    @contextmanager
    def batch(self, *, complete: str = "", fail: str = "") -> Iterator[None]:
        """Apply a batch that completes and fails jobs, all but the commit, which follows the body."""
        with self.store.transaction():
            self.apply(complete.split(), fail.split())
            self.catch_up()
            yield

    def run(self, *, complete: str = "", fail: str = "") -> None:
        with self.batch(complete=complete, fail=fail):
            pass

    def apply(self, complete: list[str], fail: list[str]) -> None:
        self.offset += 1
        jobs = self.look_up(complete + fail, fail)
        completed = [
            jobs[name] for name in complete if name in jobs and jobs[name].status < JobStatus.CANCELLED
        ]
        failed = [jobs[name] for name in fail if name in jobs and jobs[name].status < JobStatus.FAILED]
        self._write(completed, 5)
        self._write(failed, 3)
        records = [CompletedJob(each, *self.place, self.offset, None) for each in completed]
        if failed:
            self.store.lock_edges(records)
        self.store.release(records, failed)

    def look_up(self, names: list[str], may_fail: list[str]) -> dict[str, JobState]:
        failing = {JobName("default", name) for name in may_fail}
        found = self.store.lock_batch_jobs([JobName("default", name) for name in names], failing)
        return {name.job_id: state for name, state in found.items()}

    def _write(self, jobs: list[JobState], status: int) -> None:
        if jobs:
            self.store._execute(
                "update_jobs",
                tenant_keys=[each.tenant_key for each in jobs],
                job_keys=[each.job_key for each in jobs],
                statuses=[status] * len(jobs),
                percentages=[0] * len(jobs),
                end_records=[None] * len(jobs),
            )

    def catch_up(self) -> None:
        """Wait until the server has done what it was sent."""
        self.store._execute("read_deployment").fetchall()

    def starts(self) -> list[str]:
        """Return the jobs that this worker's records have started, and that are not cleared."""
        with self.store.transaction():
            return [start.job.job_id for start in self.store.read_outbox({self.place: (0, EVERYTHING)})]

    def clear(self) -> None:
        """Remove what is published."""
        with self.store.transaction():
            self.store.clear_outbox({self.place: EVERYTHING})

    def close(self) -> None:
        self.store.close()


class Steps:
    """A verb of the client's that a test runs step by step on a session of its own."""

    def __init__(self, connection: psycopg.Connection[Any], verb: Verb[Any]) -> None:
        self._connection = connection
        self._verb = verb
        self.next: Step | None = None
        self.answer: Any = None
        self._advance(None)

    def run(self, before: str = "") -> None:
        """Run up to the named statement, or to the end; a `Commit` of the verb's commits."""
        while self.next is not None and not self.is_at(before):
            self.run_one()

    def run_one(self) -> None:
        """Run the next step."""
        step, rows = self.next, []
        cursor = self._connection.cursor(binary=True)
        if isinstance(step, Query):
            cursor.execute(step.statement, step.parameters)
            rows = cursor.fetchall() if cursor.description else []
        elif isinstance(step, Copy):
            with cursor.copy(step.statement) as copy:
                copy.set_types(step.types)
                for row in step.rows:
                    copy.write_row(row)
        elif isinstance(step, ReadUser):
            rows = [("tester",)]
        else:
            assert isinstance(step, Commit)
            self._connection.commit()
        self._advance(rows)

    def _advance(self, rows: list[tuple[Any, ...]] | None) -> None:
        try:
            self.next = next(self._verb) if rows is None else self._verb.send(rows)
        except StopIteration as end:
            self.next, self.answer = None, end.value

    def is_at(self, name: str) -> bool:
        """Return whether the next step is the named statement, or `COMMIT`: the last one of a submit."""
        if name == COMMIT:
            return isinstance(self.next, Commit)
        return bool(name) and isinstance(self.next, Query | Copy) and self.next.statement == query(name)

    def roll_back(self) -> None:
        """Undo what the verb did since its last commit."""
        self._connection.rollback()


def perform(connection: psycopg.Connection[Any], prepared: Prepared[T]) -> T:
    """Run a verb of the client's on a session whose transaction the test commits."""
    steps = Steps(connection, prepared.begin())
    steps.run()
    answer: T = steps.answer
    return answer


class Observer:
    """A session that looks on."""

    def __init__(self, database_url: str) -> None:
        self._connection = connect(database_url, autocommit=True)

    def close(self) -> None:
        self._connection.close()

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement.encode(), parameters).fetchall()

    def one(self, statement: str, *parameters: object) -> Any:
        [(value,)] = self.rows(statement, *parameters)
        return value

    def status(self, job_id: str) -> int:
        return int(self.one("SELECT status FROM job WHERE job_id = %s", job_id))

    def unmet(self, job_id: str) -> int:
        return int(
            self.one(
                "SELECT unmet FROM task_message JOIN job USING (tenant_key, job_key) WHERE job_id = %s",
                job_id,
            )
        )

    def left(self, table: str) -> int:
        return int(self.one(f"SELECT count(*) FROM {table}"))

    def wait_until_blocked(self, count: int = 1) -> None:
        """Wait until so many sessions wait for another one."""
        self.wait_until(
            lambda: (
                self.one(
                    """
                SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
                """
                )
                >= count
            )
        )

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def deadlocks(self) -> int:
        """Return how many PostgreSQL had to break; ask when the sessions have ended, which report it then."""
        self.wait_until(
            lambda: (
                self.one(
                    """
                SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND backend_type = 'client backend'
                    AND pid <> pg_backend_pid()
                """
                )
                == 0
            )
        )
        return int(self.one("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))


@contextmanager
def open_session(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A session whose transaction is open until it is committed."""
    with closing(connect(database_url)) as session:
        yield session
