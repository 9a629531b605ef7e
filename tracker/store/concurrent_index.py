"""Builds the index of a migration without stopping those who write to its table.

Such a migration has a second line ``-- outside a transaction`` and then one statement, CREATE INDEX
CONCURRENTLY IF NOT EXISTS. It can be repeated: an interrupted build leaves an invalid index, which is dropped
first. PostgreSQL cannot build an index concurrently on a table that is spread over hash partitions, so there
it is built on each of them, and attached.
"""

import re
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from tracker.store.queries import query

_SCHEMA = "tracker"
_STATEMENT = re.compile(
    r"CREATE INDEX CONCURRENTLY IF NOT EXISTS (?P<name>\w+) ON tracker\.(?P<table>\w+) (?P<definition>\(.*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class ConcurrentIndex:
    """An index: its name, its table, and what follows these in the statement."""

    name: str
    table: str
    definition: str


def read_index(text: str) -> ConcurrentIndex:
    """Return the index that a migration builds.

    :raises ValueError: it has another statement, or several.
    """
    statement = "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()
    match = _STATEMENT.fullmatch(statement.removesuffix(";"))
    if match is None or ";" in match["definition"]:
        raise ValueError(f"not one CREATE INDEX CONCURRENTLY IF NOT EXISTS: {statement}")
    return ConcurrentIndex(match["name"], match["table"], match["definition"].strip())


def build_index(connection: psycopg.Connection[Any], index: ConcurrentIndex) -> None:
    """Build an index unless it exists. `connection` is in autocommit mode.

    It waits for all transactions that are older than it, and those who write wait for nothing.

    :raises psycopg.errors.LockNotAvailable: a lock on a table that is spread over hash partitions
        is not free.
    """
    connection.execute(query("let_statements_wait"))
    [(is_spread, parts)] = connection.execute(
        query("find_table_parts"), {"table": f"{_SCHEMA}.{index.table}"}
    ).fetchall()
    if not is_spread:
        _build(connection, index.name, index.table, index.definition)
        return
    whole = Identifier(_SCHEMA, index.name)
    on_whole = _create(
        SQL("CREATE INDEX IF NOT EXISTS {name} ON ONLY {table} "), index.name, index.table, index.definition
    )
    _execute_when_free(connection, on_whole)
    for part in parts:
        name = f"{part}_{index.name}"
        _build(connection, name, part, index.definition)
        attach = SQL("ALTER INDEX {} ATTACH PARTITION {}").format(whole, Identifier(_SCHEMA, name))
        _execute_when_free(connection, attach)


def _build(connection: psycopg.Connection[Any], name: str, table: str, definition: str) -> None:
    [(is_invalid,)] = connection.execute(query("is_invalid_index"), {"index": f"{_SCHEMA}.{name}"}).fetchall()
    if is_invalid:
        connection.execute(SQL("DROP INDEX CONCURRENTLY {}").format(Identifier(_SCHEMA, name)))
    connection.execute(
        _create(SQL("CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} "), name, table, definition)
    )


def _execute_when_free(connection: psycopg.Connection[Any], statement: Composed) -> None:
    """Execute a statement whose lock stops those who write, if it gets the lock within a second."""
    with connection.transaction():
        connection.execute(query("limit_lock_waits"))
        connection.execute(statement)


def _create(statement: SQL, name: str, table: str, definition: str) -> Composed:
    head = statement.format(name=Identifier(name), table=Identifier(_SCHEMA, table))
    return head + SQL(definition)  # of a migration: the program's own text
