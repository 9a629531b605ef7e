"""What `tracker status` reads in the database."""

from typing import NamedTuple, TypeVar

from tracker.store import locks
from tracker.store.connect import Conninfo
from tracker.store.explain import database_errors
from tracker.store.migrate import check_schema
from tracker.store.session import Session
from tracker.store.steps import Prepared, Query

T = TypeVar("T")


class WorkerRow(NamedTuple):
    """What a worker process has written within the last 15 s; see `WorkerActivity`."""

    member_id: str
    host: str
    slot: int
    version: str
    ready: bool
    detail: str
    idle_s: float | None
    records_per_second: float
    stage_seconds: dict[str, float]
    kafka_partitions: list[tuple[str, int, float]]


class DueJob(NamedTuple):
    """A job that is due and not sent, where it is to be sent, and for how long it has been due."""

    partition_id: str
    job_id: str
    task_pipe: str
    due_s: float


class DatabaseFigures(NamedTuple):
    """The size of the database, and what hinders its clean-up. None: the role may not see it."""

    size_bytes: int
    dead_rows: int
    oldest_transaction_s: float | None


class StatusStore(Session):
    """A session that only reads. Each method may raise `TrackerError`; the next one may still succeed."""

    def __init__(self, conninfo: Conninfo) -> None:
        super().__init__(conninfo, "tracker status")

    def check_schema(self) -> None:
        """Refuse a schema that is not this program's.

        :raises SchemaMismatch: it is not.
        """
        check_schema(self._open)

    def workers(self) -> list[WorkerRow]:
        """Return what the workers do that have written it lately."""
        with database_errors():
            return [WorkerRow(*row) for row in self._execute("read_workers").fetchall()]

    def is_scheduler_active(self) -> bool:
        """Return whether there is an active scheduler."""
        with database_errors():
            [(active,)] = self._execute("is_scheduler_active", **{"class": locks.SCHEDULER}).fetchall()
        return bool(active)

    def oldest_due(self) -> DueJob | None:
        """Return the job that has been due the longest and is not sent."""
        with database_errors():
            rows = self._execute("read_oldest_due").fetchall()
        return DueJob(*rows[0]) if rows else None

    def figures(self) -> DatabaseFigures:
        """Return the database's size, and what hinders its clean-up."""
        with database_errors():
            [row] = self._execute("read_database").fetchall()
        return DatabaseFigures(*row)

    def answer(self, prepared: Prepared[T]) -> T:
        """Run a verb that does nothing but query, and return its answer."""
        verb = prepared.begin()
        with database_errors():
            try:
                step = next(verb)
                while isinstance(step, Query):
                    cursor = self._open.execute(step.statement, step.parameters)
                    step = verb.send(cursor.fetchall() if cursor.description else [])
            except StopIteration as end:
                found: T = end.value
                return found
        raise TypeError(f"more than a query: {step}")
