"""Creates and upgrades the schema of the job store.

A migration is a file ``NNNN_name.sql`` in `tracker/store/migrations`, numbered from 1 without gaps. Each is
applied in one transaction, with its row in ``schema_migration``; a file that was applied is never changed.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

import psycopg
from psycopg.rows import class_row

from tracker.errors import SchemaMismatch
from tracker.store import locks
from tracker.store.connect import connect, database_errors
from tracker.store.queries import query

OLDEST_SERVER = 150000  # as PostgreSQL numbers its versions


@dataclass(frozen=True)
class Migration:
    """A migration that this program knows."""

    version: int
    name: str
    text: str
    checksum: str


@dataclass(frozen=True)
class AppliedMigration:
    """A migration that the database has had."""

    version: int
    name: str
    checksum: str
    applied_time: datetime


@dataclass(frozen=True)
class MigrationState:
    """A migration, and when the database had it; `applied_time` is None where it has yet to."""

    version: int
    name: str
    applied_time: datetime | None


@cache
def known_migrations() -> tuple[Migration, ...]:
    """Return this program's migrations, oldest first."""
    folder = resources.files(__package__) / "migrations"
    found = []
    for file in folder.iterdir():
        match = re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name)
        if match:
            text = file.read_text(encoding="utf-8")
            found.append(Migration(int(match[1]), match[2], text, checksum(text)))
    found.sort(key=lambda migration: migration.version)
    return tuple(found)


def checksum(text: str) -> str:
    """Return the checksum of a migration; the same whatever its line endings are."""
    return hashlib.sha256("\n".join(text.splitlines()).encode()).hexdigest()


def migrate(conninfo: str) -> list[str]:
    """Apply the migrations that the database has not had, and return their names, oldest first.

    Safe to run twice, and from two places at once: the second waits for the first.

    :raises SchemaMismatch: the database is newer than this program, or was made by other migrations.
    :raises DatabaseUnavailable: it cannot be reached.
    """
    applied: list[str] = []
    with (
        database_errors(),
        connect(conninfo, application_name="tracker migrate", autocommit=True) as connection,
    ):
        _check_server(connection)
        while (migration := _apply_next(connection)) is not None:
            applied.append(_title(migration))
    return applied


def status(conninfo: str) -> list[MigrationState]:
    """Return every migration that this program or the database knows, oldest first.

    :raises DatabaseUnavailable: the database cannot be reached.
    """
    with (
        database_errors(),
        connect(conninfo, application_name="tracker migrate", autocommit=True) as connection,
    ):
        applied = {row.version: row for row in _applied(connection)}
    known: dict[int, Migration | AppliedMigration] = {row.version: row for row in known_migrations()}
    return [
        MigrationState(version, row.name, applied[version].applied_time if version in applied else None)
        for version, row in sorted((applied | known).items())
    ]


def check_schema(connection: psycopg.Connection[Any]) -> None:
    """Make sure that the database's schema is the one that this program works with.

    :raises SchemaMismatch: it is missing, older, newer, or was made by other migrations; the text says
        what to do.
    """
    with database_errors():
        applied = _applied(connection)
    compare_schema(applied)
    missing = len(known_migrations()) - len(applied)
    if missing == len(known_migrations()):
        raise SchemaMismatch("the database has no tracker schema yet: run 'tracker migrate'")
    if missing:
        raise SchemaMismatch(
            f"the database's schema is older than this program (version {len(applied)}, needed "
            f"{len(known_migrations())}): run 'tracker migrate'"
        )


def compare_schema(applied: Sequence[AppliedMigration]) -> None:
    """Make sure that this program's migrations begin with the `applied` ones.

    :raises SchemaMismatch: the database is newer than this program, or was made by other migrations.
    """
    known = {migration.version: migration for migration in known_migrations()}
    newest = max((row.version for row in applied), default=0)
    if newest > len(known):
        raise SchemaMismatch(
            f"the database's schema is newer than this program (version {newest}, known {len(known)}): "
            "upgrade the program"
        )
    for row in applied:
        if row.checksum != known[row.version].checksum:
            raise SchemaMismatch(
                f"migration {_title(row)} is not the one that the database was made with: "
                "use the program that made it, or an unchanged copy of its migrations"
            )


def _apply_next(connection: psycopg.Connection[Any]) -> Migration | None:
    """Apply the oldest migration that is missing, in one transaction; None if there is none."""
    with connection.transaction():
        connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        connection.execute(query("lock_migration"), {"class": locks.MIGRATION})
        if not _schema_exists(connection):
            connection.execute(query("create_schema_migration"))
        applied = _applied(connection)
        compare_schema(applied)
        missing = known_migrations()[len(applied) :]
        if not missing:
            return None
        migration = missing[0]
        connection.execute(migration.text.encode())  # several statements, without parameters
        connection.execute(
            query("insert_schema_migration"),
            {"version": migration.version, "name": migration.name, "checksum": migration.checksum},
        )
        return migration


def _applied(connection: psycopg.Connection[Any]) -> list[AppliedMigration]:
    if not _schema_exists(connection):
        return []
    with connection.cursor(row_factory=class_row(AppliedMigration)) as cursor:
        return cursor.execute(query("list_schema_migrations")).fetchall()


def _schema_exists(connection: psycopg.Connection[Any]) -> bool:
    """Ask the catalogue, since a statement that fails would spoil the caller's transaction."""
    return connection.execute(query("find_schema_migration")).fetchone() != (None,)


def _check_server(connection: psycopg.Connection[Any]) -> None:
    if connection.info.server_version < OLDEST_SERVER:
        raise SchemaMismatch(f"PostgreSQL {OLDEST_SERVER // 10000} or later is needed")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise SchemaMismatch(f"the database's encoding is {encoding}: create it with ENCODING 'UTF8'")


def _title(migration: Migration | AppliedMigration) -> str:
    return f"{migration.version:04d}_{migration.name}"
