"""A batch's store, and full databases for tests of plans: what the planner knows of their tables differs."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.store.cases import STATES
from tests.support.databases import spread_over_hash_partitions
from tests.support.sessions import Observer, Worker
from tracker import Client
from tracker.stack import LocalStack
from tracker.store.batch_store import BatchStore
from tracker.store.connect import connect
from tracker.store.migrate import migrate
from tracker.store.schedule_store import ScheduleStore

HERE = Path(__file__).parent
HASH_PARTITIONS = 4


@pytest.fixture
def store(database_url: str) -> Iterator[BatchStore]:
    store = BatchStore(database_url)
    store.connect()
    with closing(store):
        yield store


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with Client(database_url, max_connections=4) as client:
        yield client


@pytest.fixture
def worker(database_url: str) -> Iterator[Worker]:
    with closing(Worker(database_url, 0)) as worker:
        yield worker


@pytest.fixture
def workers(worker: Worker, database_url: str) -> Iterator[list[Worker]]:
    """Two of them."""
    with closing(Worker(database_url, 1)) as second:
        yield [worker, second]


@pytest.fixture
def scheduler(database_url: str) -> Iterator[ScheduleStore]:
    scheduler = ScheduleStore(database_url)
    scheduler.connect()
    with closing(scheduler):
        yield scheduler


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


@pytest.fixture
def observer(database_url: str) -> Iterator[Observer]:
    with closing(Observer(database_url)) as observer:
        yield observer


@pytest.fixture(scope="session")
def never_analysed(stack: LocalStack) -> Iterator[str]:
    """A full database of whose tables the planner knows only the size."""
    with _database(stack) as url:
        _fill(url)
        yield url


@pytest.fixture(scope="session")
def analysed(stack: LocalStack, never_analysed: str) -> Iterator[str]:
    """The same one, of which it knows everything."""
    with _database(stack, never_analysed) as url:
        _run(url, "VACUUM ANALYZE")
        yield url


@pytest.fixture(scope="session")
def analysed_on_its_first_day(stack: LocalStack) -> Iterator[str]:
    """The same one, of which it knows what was true when the tables had sixty rows."""
    with _database(stack) as url:
        _run(url, (HERE / "seed_first_day.sql").read_text())
        _run(url, "VACUUM ANALYZE")
        _run(url, "ALTER SEQUENCE tracker.tenant_tenant_key_seq RESTART")
        for table in _tables(url):
            _run(url, f"DELETE FROM tracker.{table}")
        _fill(url)
        yield url


@pytest.fixture(scope="session")
def in_hash_partitions(stack: LocalStack, never_analysed: str) -> Iterator[str]:
    """The same one, whose tables were spread over hash partitions when they were full."""
    with _database(stack, never_analysed) as url:
        spread_over_hash_partitions(url, HASH_PARTITIONS)
        _run(url, "VACUUM ANALYZE")
        yield url


@pytest.fixture(scope="session")
def full_databases(
    never_analysed: str, analysed: str, analysed_on_its_first_day: str, in_hash_partitions: str
) -> dict[str, str]:
    """The four of them, by what is known."""
    urls = analysed, never_analysed, analysed_on_its_first_day, in_hash_partitions
    return dict(zip(STATES, urls, strict=True))


@contextmanager
def _database(stack: LocalStack, template_url: str = "") -> Iterator[str]:
    name = sql.Identifier(f"full_{uuid.uuid4().hex[:12]}")
    template = psycopg.conninfo.conninfo_to_dict(template_url).get("dbname", "template0")
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(str(template)))
        )
        try:
            url = make_conninfo(stack.database_url, dbname=name._obj[0])
            if not template_url:
                migrate(url)
                for table in _tables(url):
                    _run(url, f"ALTER TABLE tracker.{table} SET (autovacuum_enabled = off)")
            yield url
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _tables(url: str) -> list[str]:
    """Return the tables that a database in use fills."""
    with closing(connect(url)) as connection:
        rows = connection.execute(
            """
            SELECT relname FROM pg_class
            WHERE relnamespace = 'tracker'::regnamespace AND relkind = 'r'
                AND relname NOT IN ('deployment', 'schema_migration')
            """
        ).fetchall()
    return [str(name) for (name,) in rows]


def _fill(url: str) -> None:
    _run(url, (HERE / "seed.sql").read_text())


def _run(url: str, statements: str) -> None:
    with closing(connect(url, autocommit=True)) as connection:
        connection.execute(statements.encode())
