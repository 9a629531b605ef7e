"""Counts what a batch costs in decoding, fold and store: the worker's own code, without Kafka.

Nothing here reads a clock, so the figures depend neither on the machine nor on what else runs on it.
"""

import cProfile
import gc
import re
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import IO, Any

import psycopg

from bench.batch_applier import BatchApplier
from bench.counted.batches import CASES, Batches
from bench.errors import WrongResult
from tracker import Client
from tracker.kafka.batch import Batch
from tracker.pipeline.applied import Applied
from tracker.store.batch_store import BatchStore

# A line of libpq's trace: time, sender (F: this process), length, and kind of the protocol message.
_STATEMENT = re.compile(rb"^[^\t\n]*\tF\t\d+\t(?:Execute|Query)\t", re.MULTILINE)

_NO_WALINSPECT = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.FeatureNotSupported,  # the extension is not installed
)


@dataclass(frozen=True)
class Figures:
    """What a batch costs: the number of its statements, and the rest for each unit of the batch.

    `wal_bytes` is without full-page images; None: this user may not read PostgreSQL's WAL. `calls` are the
    calls of Python functions, and of C functions by Python code. `blocks` are the blocks of memory that
    Python has allocated for the batch and still holds when it is applied. `peak_bytes` is the most memory
    that Python holds for the batch at once.
    """

    unit: str
    statements: int
    wal_bytes: float | None
    calls: float
    blocks: float
    peak_bytes: float


@dataclass(frozen=True)
class Count:
    """The figures of each case, and the versions on which they depend."""

    python: str
    postgresql: str
    figures: Mapping[str, Figures]

    @property
    def reads_wal(self) -> bool:
        """Whether the figures include WAL."""
        return all(each.wal_bytes is not None for each in self.figures.values())


def count(database_url: str, names: Collection[str] = CASES) -> Count:
    """Count cases in a database that has the tracker's schema and no jobs.

    :raises WrongResult: a batch has not done what it must do.
    """
    with psycopg.connect(database_url, autocommit=True) as observer:
        _turn_autovacuum_off(observer)
        postgresql = str(observer.info.server_version // 10_000)
        wal = _Wal(observer)
        figures = {name: _figures(database_url, CASES[name](name), wal) for name in names}
    return Count(f"{sys.version_info.major}.{sys.version_info.minor}", postgresql, figures)


def _figures(database_url: str, batches: Batches, wal: "_Wal") -> Figures:
    with Client(database_url) as client:
        client.submit(batches.jobs)
    with closing(_Store(database_url)) as store:
        store.connect()
        applier = BatchApplier(store, batches.topics.tracking)
        first, of_statements, of_wal, of_calls, of_memory = _rounds(applier, batches)
        first.run()
        statements, blocks = _count_statements(store, lambda: _count_blocks(of_statements.run))
        wal_bytes = wal.count(store, of_wal.run)
        calls = _count_calls(of_calls.run)
        peak_bytes = _measure_peak(of_memory.run)
    units = batches.units
    return Figures(
        batches.unit,
        statements,
        None if wal_bytes is None else wal_bytes / units,
        calls / units,
        blocks / units,
        peak_bytes / units,
    )


class _Round:
    """One batch of a case, ready to be decoded and applied."""

    def __init__(self, applier: BatchApplier, batch: Batch, releases: int) -> None:
        self._applier = applier
        self._batch = batch
        self._releases = releases

    def run(self) -> Applied:
        """Decode and apply the batch."""
        applied = self._applier.apply(self._batch, self._applier.decode(self._batch))
        if applied.refused or applied.decided.dropped or applied.decided.ignored:
            raise WrongResult("a record of a counted batch was not applied")
        if len(applied.releases) != self._releases:
            raise WrongResult(f"a counted batch released {len(applied.releases)} jobs, not {self._releases}")
        return applied


def _rounds(applier: BatchApplier, batches: Batches) -> Iterator[_Round]:
    """Yield the batches of a case, as a consumer receives them one after the other."""
    for records in batches.records:
        yield _Round(applier, applier.receive(records), batches.releases)


# The counters


def _count_statements(store: "_Store", run: Callable[[], int]) -> tuple[int, int]:
    """Return how many statements PostgreSQL gets meanwhile, and what `run` returns.

    They are counted on the wire, so also those that bypass the store.
    """
    with tempfile.TemporaryFile() as trace:
        with store.traced(trace):
            result = run()
        trace.seek(0)
        return len(_STATEMENT.findall(trace.read())), result


def _count_calls(run: Callable[[], object]) -> int:
    profile = cProfile.Profile()
    with _steady_memory():
        profile.runcall(run)
    return sum(entry.callcount for entry in profile.getstats())


def _count_blocks(run: Callable[[], object]) -> int:
    with _steady_memory():
        before = sys.getallocatedblocks()
        held = run()
        blocks = sys.getallocatedblocks() - before
        del held
    return blocks


def _measure_peak(run: Callable[[], object]) -> int:
    with _steady_memory():
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            run()
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()


@contextmanager
def _steady_memory() -> Iterator[None]:
    """Have Python allocate and free the same each time, whatever has happened before in this process."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class _Store(BatchStore):
    """A store whose connection can be watched."""

    def __init__(self, conninfo: str) -> None:
        super().__init__(conninfo)
        self.transaction_ids: list[psycopg.Cursor[Any]] | None = None  # of transactions from now on

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            yield
            if self.transaction_ids is not None:
                self.transaction_ids.append(self._open.execute("SELECT pg_current_xact_id()::xid::text"))

    @contextmanager
    def traced(self, trace: IO[bytes]) -> Iterator[None]:
        """Write the protocol messages of the connection to a file."""
        self._open.pgconn.trace(trace.fileno())
        try:
            yield
        finally:
            self._open.pgconn.untrace()


class _Wal:
    """Reads PostgreSQL's WAL, if the user may, with the extension `pg_walinspect`."""

    def __init__(self, observer: psycopg.Connection[Any]) -> None:
        self._observer = observer
        try:
            observer.execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect SCHEMA pg_catalog")
            self._is_readable = True
        except _NO_WALINSPECT:
            self._is_readable = False

    def count(self, store: _Store, run: Callable[[], object]) -> int | None:
        """Return the size of the WAL records of the transactions of `run`, without full-page images.

        Full-page images depend on when the last checkpoint was, and records of other transactions on what
        else the server does.
        """
        store.transaction_ids = []
        before = self._position()
        run()
        cursors, store.transaction_ids = store.transaction_ids, None
        ids = [text for cursor in cursors for (text,) in cursor.fetchall()]
        return self._size(before, self._position(), ids) if self._is_readable else None

    def _position(self) -> str:
        [(position,)] = self._observer.execute("SELECT pg_current_wal_flush_lsn()::text").fetchall()
        return str(position)

    def _size(self, before: str, after: str, transaction_ids: Sequence[str]) -> int:
        [(size,)] = self._observer.execute(
            """
            SELECT sum(record_length - fpi_length)::bigint
            FROM pg_get_wal_records_info(%s, %s)
            WHERE xid::text = ANY (%s)
            """,
            (before, after, list(transaction_ids)),
        ).fetchall()
        return int(size)


def _turn_autovacuum_off(observer: psycopg.Connection[Any]) -> None:
    """Leave the free space of tables to the batches: it decides what they write."""
    tables = observer.execute(
        "SELECT oid::regclass::text FROM pg_class"
        " WHERE relnamespace = 'tracker'::regnamespace AND relkind = 'r'"
    ).fetchall()
    for (table,) in tables:
        observer.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
