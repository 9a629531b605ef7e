"""A batch's transaction: all of it, or nothing, and the session continues."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import psycopg
import pytest

from tracker.store.batch_store import BatchStore
from tracker.store.connect import connect


class Broken(Exception):
    """What a batch may die of."""


@pytest.fixture
def table(database_url: str) -> Iterator[str]:
    """A table of numbers, which must not be given twice."""
    with closing(connect(database_url, autocommit=True)) as connection:
        connection.execute("CREATE TABLE kept (number integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)")
        connection.execute("INSERT INTO kept VALUES (1)")
        yield database_url


def numbers(url: str) -> list[int]:
    with closing(connect(url)) as connection:
        return [int(str(number)) for (number,) in connection.execute("SELECT number FROM kept").fetchall()]


def keep(store: BatchStore, number: int) -> None:
    store._open.execute("INSERT INTO kept VALUES (%s)", [number])


def test_all_of_it_is_there(store: BatchStore, table: str) -> None:
    with store.transaction():
        keep(store, 2)
        keep(store, 3)
    assert numbers(table) == [1, 2, 3]


def program_fails(store: BatchStore) -> None:
    with store.transaction():
        keep(store, 2)
        raise Broken


def database_fails(store: BatchStore) -> None:
    with store.transaction():
        keep(store, 2)
        store._open.execute("SELECT 1 / 0")
        keep(store, 3)


def error_is_passed_over(store: BatchStore) -> None:
    with store.transaction():
        keep(store, 2)
        with suppress(psycopg.errors.DivisionByZero):
            store._open.execute("SELECT 1 / 0").fetchall()


def commit_fails(store: BatchStore) -> None:
    with store.transaction():
        keep(store, 2)
        keep(store, 1)


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        (program_fails, Broken),
        (database_fails, psycopg.errors.DivisionByZero),
        (error_is_passed_over, psycopg.Error),
        (commit_fails, psycopg.errors.UniqueViolation),
    ],
)
def test_nothing_is_there_after(
    store: BatchStore, table: str, batch: Callable[[BatchStore], None], error: type[BaseException]
) -> None:
    with pytest.raises(error):
        batch(store)
    assert not store.connect(), "the session is sound"
    assert_goes_on(store, table)


def session_ends(store: BatchStore, url: str) -> None:
    with store.transaction():
        keep(store, 2)
        [(pid,)] = store._open.execute("SELECT pg_backend_pid()").fetchall()
        with closing(connect(url, autocommit=True)) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_a_session_that_ends_in_it_is_replaced(store: BatchStore, table: str) -> None:
    with pytest.raises(psycopg.OperationalError):
        session_ends(store, table)
    assert store.connect(), "the old session is over"
    assert_goes_on(store, table)


def assert_goes_on(store: BatchStore, table: str) -> None:
    """Nothing of the transaction before is there, and the next one is done."""
    assert numbers(table) == [1]
    with store.transaction():
        keep(store, 9)
    assert numbers(table) == [1, 9]
