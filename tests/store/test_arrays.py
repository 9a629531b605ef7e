"""Arrays arrive as they were, and a statement is prepared once, whatever the values."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL

from tracker.store import arrays
from tracker.store.batch_store import BatchStore
from tracker.store.connect import connect

VALUES: list[tuple[str, list[Any]]] = [
    ("smallint", [0, -(2**15), 2**15 - 1]),
    ("integer", [0, -(2**31), 2**31 - 1]),
    ("bigint", [0, -(2**63), 2**63 - 1]),
    ("boolean", [True, False]),
    ("text", ["", "a", 'quote " comma , brace {', "äöü 漢字 🙂"]),
    ("text", ["a", None, "b"]),
    ("text", [None]),
    ("bytea", [b"", b"\0\xff", b"x" * 100_000]),
    ("bytea", [None, b"x"]),
]


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with closing(connect(database_url, autocommit=True)) as connection:
        yield connection


def echo_of(kind: str) -> SQL:
    return SQL(f"SELECT %(values)b::{kind}[]")


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The name of a statement is the type of an array that it returns."""
    monkeypatch.setattr(arrays, "query", echo_of)
    yield
    arrays._casts.cache_clear()


@pytest.mark.usefixtures("echo")
@pytest.mark.parametrize(("kind", "values"), [*VALUES, *((kind, []) for kind in dict(VALUES))])
def test_an_array_arrives_as_it_was(
    connection: psycopg.Connection[Any], kind: str, values: list[Any]
) -> None:
    parameters = arrays.encode(kind, {"values": values})
    assert isinstance(parameters["values"], arrays.EncodedArray)
    [(arrived,)] = connection.execute(echo_of(kind), parameters, binary=True).fetchall()
    assert arrived == values


@pytest.mark.usefixtures("echo")
@pytest.mark.parametrize(
    ("kind", "value"),
    [("smallint", 2**15), ("integer", 2**31), ("bigint", 2**63), ("integer", "1"), ("text", "\ud800")],
)
def test_a_value_that_the_type_does_not_have_is_the_datas_fault(kind: str, value: object) -> None:
    """So that the worker finds the record that it came from."""
    with pytest.raises(psycopg.DataError, match="cannot be sent"):
        arrays.encode(kind, {"values": [value]})


def test_a_statement_is_prepared_once_for_small_numbers_and_large_ones(store: BatchStore) -> None:
    for job_key in (1, 40_000, 2**40):
        store._execute(
            "load_sibling_tasks", tenant_keys=[1], job_keys=[job_key], paths=[""], numbers=[0]
        ).fetchall()
    store._execute("load_sibling_tasks", tenant_keys=[], job_keys=[], paths=[], numbers=[]).fetchall()
    prepared = store._open.execute(
        "SELECT parameter_types::text[] FROM pg_prepared_statements"
        " WHERE statement LIKE '%sibling_tasks.path%'"
    ).fetchall()
    assert prepared == [(["integer[]", "bigint[]", "text[]", "integer[]"],)]
