"""An index that a migration builds: others write meanwhile, and an interrupted build is repeated."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from tests.store.more_migrations import ALL, follow
from tests.support.databases import spread_over_hash_partitions
from tracker.errors import TrackerError
from tracker.stack.lifetime import wait_until
from tracker.store import migrate
from tracker.store.concurrent_index import read_index
from tracker.store.connect import connect
from tracker.store.migrate import known_migrations

HEAD = "-- Works with programs from 0.2.0 on.\n-- outside a transaction\n"
INDEX = HEAD + "CREATE INDEX CONCURRENTLY IF NOT EXISTS extra ON tracker.job (tenant_key, percentage);"
FAILING = HEAD + "CREATE INDEX CONCURRENTLY IF NOT EXISTS extra ON tracker.job ((1 / (job_key - 1)));"
NEW = f"{len(ALL) + 1:04d}_more_1"


def state_of(url: str, index: str) -> list[tuple[bool]]:
    with closing(connect(url)) as connection:
        return connection.execute(  # type: ignore[return-value]
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [f"tracker.{index}"]
        ).fetchall()


def test_each_marked_migration_builds_one_index() -> None:
    marked = [migration for migration in known_migrations() if migration.is_outside_transaction]
    assert marked
    for migration in marked:
        assert read_index(migration.text).name == migration.name


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX extra ON tracker.job (job_key)",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS extra ON tracker.job (job_key); SELECT 1",
        "ALTER TABLE tracker.job ADD extra integer",
    ],
)
def test_another_statement_is_refused(statement: str) -> None:
    with pytest.raises(ValueError, match="not one CREATE INDEX CONCURRENTLY"):
        read_index(HEAD + statement)


def test_a_batch_that_is_at_work_is_not_stopped(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index waits for it, and those who begin to write after that do not wait for the index."""
    follow(monkeypatch, INDEX)
    with (
        closing(connect(database_url)) as batch,
        closing(connect(database_url, autocommit=True)) as other,
        ThreadPoolExecutor(1) as thread,
    ):
        batch.execute("UPDATE tracker.job SET percentage = 1")
        applied = thread.submit(migrate.migrate, database_url)
        waits = "SELECT EXISTS (SELECT FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for%')"
        assert wait_until(lambda: other.execute(waits).fetchall() == [(True,)], 30)
        other.execute("SET lock_timeout = '1s'")
        other.execute("UPDATE tracker.job SET percentage = 2")
        assert not applied.done()
        batch.commit()
        assert applied.result(60) == [NEW]
    assert state_of(database_url, "extra") == [(True,)]


def test_in_hash_partitions_it_is_built_on_each(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spread_over_hash_partitions(database_url, 3)
    follow(monkeypatch, INDEX)
    assert migrate.migrate(database_url) == [NEW]
    names = ["extra", *(f"job_{number}_extra" for number in range(3))]
    assert [state_of(database_url, name) for name in names] == [[(True,)]] * 4


def test_an_interrupted_build_is_repeated(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(monkeypatch, INDEX)
    with closing(connect(database_url)) as batch, ThreadPoolExecutor(1) as thread:
        batch.execute("UPDATE tracker.job SET percentage = 1")
        applied = thread.submit(migrate.migrate, database_url)
        ending = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index"
            " WHERE phase LIKE 'waiting for%' AND datname = current_database()"
        )
        with closing(connect(database_url, autocommit=True)) as other:
            assert wait_until(lambda: other.execute(ending).fetchall() == [(True,)], 30)
        with pytest.raises(TrackerError):
            applied.result(60)
    assert state_of(database_url, "extra") == [(False,)]
    assert migrate.migrate(database_url) == [NEW]
    assert state_of(database_url, "extra") == [(True,)]


def test_one_that_fails_is_a_sentence_and_is_not_recorded(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(monkeypatch, FAILING)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO tracker.tenant (partition_id) VALUES ('t')")
        connection.execute(
            "INSERT INTO tracker.job (tenant_key, job_key, job_id, content_hash) VALUES (1, 1, 'j', '')"
        )
    with pytest.raises(TrackerError, match=rf"migration {NEW} failed: .*division by zero"):
        migrate.migrate(database_url)
    assert [state.applied_time is None for state in migrate.status(database_url)][-1]


def test_two_at_once_do_not_wait_for_each_other_in_a_cycle(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that waited for the lock within a transaction would be waited for by the index."""
    follow(monkeypatch, INDEX)
    with closing(connect(database_url)) as batch, ThreadPoolExecutor(2) as threads:
        batch.execute("UPDATE tracker.job SET percentage = 1")
        both = [threads.submit(migrate.migrate, database_url) for _ in range(2)]
        with closing(connect(database_url, autocommit=True)) as other:
            waits = "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for%'"
            assert wait_until(lambda: other.execute(waits).fetchall() == [(1,)], 30)
        batch.commit()
        assert sorted(name for each in both for name in each.result(60)) == [NEW]
