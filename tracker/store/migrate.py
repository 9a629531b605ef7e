"""Creates and upgrades the schema of the job store.

A migration is a file ``NNNN_name.sql`` in `tracker/store/migrations`, numbered from 1 without gaps. Each is
applied in one transaction, with its row in ``schema_migration``; a file that was applied is never changed.

So that old and new programs can run side by side, the first line of a migration names the oldest program
that can work with the schema after it: ``-- Works with programs from 0.2.0 on.`` A program accepts migrations
that it does not know if each of them names the program's version or an older one. Only programs that know a
migration accept it without that line.

A migration whose second line is ``-- outside a transaction`` builds one index, concurrently
(`tracker.store.concurrent_index`).
"""

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

import psycopg
from psycopg.rows import class_row

from tracker import __version__
from tracker.errors import DatabaseUnavailable, SchemaMismatch, TrackerError
from tracker.store.concurrent_index import build_index, read_index
from tracker.store.connect import connected
from tracker.store.explain import PASSING, database_errors, one_line
from tracker.store.migration_lock import migration_lock
from tracker.store.queries import query

OLDEST_SERVER = 150000  # as PostgreSQL numbers its versions
_LOCK_ATTEMPTS = 60  # each waits for locks for a second, with a pause after it
_PAUSE_S = 1.0

_MAX_NAMED = 3  # of another program's objects
_FOREIGN = (
    "the schema 'tracker' of this database belongs to another program ({}): give the tracker its own database"
)

_OLDEST_PROGRAM = re.compile(r"-- Works with programs from (\d+\.\d+\.\d+) on\.\n")


@dataclass(frozen=True)
class Migration:
    """A migration that this program knows."""

    version: int
    name: str
    text: str
    checksum: str

    @property
    def oldest_program(self) -> str | None:
        """The oldest version that can work with it; None: only programs that know it can."""
        match = _OLDEST_PROGRAM.match(self.text)
        return match[1] if match else None

    @property
    def is_outside_transaction(self) -> bool:
        """Whether it builds an index, outside a transaction."""
        return self.text.splitlines()[1:2] == ["-- outside a transaction"]


@dataclass(frozen=True)
class AppliedMigration:
    """A migration that was applied to the database."""

    version: int
    name: str
    checksum: str
    applied_time: datetime
    oldest_program: str | None


@dataclass(frozen=True)
class MigrationState:
    """A migration, and when it was applied to the database; None: not yet."""

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
    """Return the checksum of a migration, which does not depend on its line endings."""
    return hashlib.sha256("\n".join(text.splitlines()).encode()).hexdigest()


def migrate(
    conninfo: str, on_begin: Callable[[str], None] = lambda _name: None, *, last: int | None = None
) -> list[str]:
    """Apply the migrations that the database does not have, and return their names, oldest first.

    It is safe to run this twice, and from two places at once: the second waits for the first. `on_begin` is
    called with the name of each migration that begins. `last` is the number of the last one to apply.

    :raises SchemaMismatch: the database is newer than this program, or was created by other migrations, or
        its schema `tracker` belongs to another program.
    :raises DatabaseUnavailable: the database cannot be reached, or another transaction locks a table for two
        minutes.
    """
    applied: list[str] = []
    with (
        database_errors(),
        connected(conninfo, application_name="tracker migrate", autocommit=True) as connection,
    ):
        _check_server(connection)
        with migration_lock(connection):
            while (migration := _apply_when_free(connection, on_begin, last)) is not None:
                applied.append(_title(migration))
    return applied


def status(conninfo: str) -> list[MigrationState]:
    """Return every migration that this program or the database knows, oldest first.

    :raises DatabaseUnavailable: the database cannot be reached.
    """
    with (
        database_errors(),
        connected(conninfo, application_name="tracker migrate", autocommit=True) as connection,
    ):
        applied = {row.version: row for row in _applied(connection)}
    known: dict[int, Migration | AppliedMigration] = {row.version: row for row in known_migrations()}
    return [
        MigrationState(version, row.name, applied[version].applied_time if version in applied else None)
        for version, row in sorted((applied | known).items())
    ]


def check_schema(connection: psycopg.Connection[Any]) -> None:
    """Check that this program works with the database's schema.

    :raises SchemaMismatch: the schema is missing, older, or newer, or was created by other migrations; the
        text says what to do.
    """
    with database_errors():
        applied = _applied(connection)
    compare_schema(applied)
    if not applied:
        raise SchemaMismatch("the database has no tracker schema yet: run 'tracker migrate'")
    if len(applied) < len(known_migrations()):
        raise SchemaMismatch(
            f"the database's schema is older than this program (version {len(applied)}, needed "
            f"{len(known_migrations())}): run 'tracker migrate'"
        )


def compare_schema(applied: Sequence[AppliedMigration]) -> None:
    """Check that the `applied` migrations are this program's, and that it can work with any newer ones.

    :raises SchemaMismatch: the database is too new for this program, or was created by other migrations.
    """
    known = {migration.version: migration for migration in known_migrations()}
    for row in applied:
        if row.version not in known:
            _require_compatible(row, len(known))
        elif row.checksum != known[row.version].checksum:
            raise SchemaMismatch(
                f"migration {_title(row)} is not the one that was applied to the database: "
                "use the program that applied it, or an unchanged copy of its migrations"
            )


def _require_compatible(newer: AppliedMigration, known: int) -> None:
    """Check that this program can work with a migration that it does not know."""
    needed = newer.oldest_program
    if needed is None or _version(needed) > _version(__version__):
        needs = f"version {needed}" if needed else "a program that knows it"
        raise SchemaMismatch(
            f"the database's schema is newer than this program (migration {_title(newer)}, known {known}; "
            f"it needs {needs}, this is version {__version__}): upgrade the program"
        )


def _version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, for comparison, without a suffix such as ``.dev1``."""
    match = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(number) for number in match[0].split(".")) if match else ()


def _apply_when_free(
    connection: psycopg.Connection[Any], on_begin: Callable[[str], None], last: int | None
) -> Migration | None:
    """Apply the next migration. If a lock is not free within a second, let others pass, and try again.

    :raises DatabaseUnavailable: another transaction has locked a table for two minutes.
    """
    for _ in range(_LOCK_ATTEMPTS):
        with suppress(psycopg.errors.LockNotAvailable):
            return _apply_next(connection, on_begin, last)
        time.sleep(_PAUSE_S)
    raise DatabaseUnavailable(
        "another transaction locks a table that a migration has to lock: end that transaction, which "
        "pg_stat_activity shows, and run 'tracker migrate' again"
    )


def _apply_next(
    connection: psycopg.Connection[Any], on_begin: Callable[[str], None], last: int | None = None
) -> Migration | None:
    """Apply the oldest missing migration, and return it; None if none is missing up to the last."""
    with connection.transaction():
        connection.execute(query("begin_migration"))
        if not _schema_exists(connection):
            _require_empty(connection)
            connection.execute(query("create_schema_migration"))
        applied = _applied(connection)
        compare_schema(applied)
        missing = known_migrations()[len(applied) : last]
        if not missing:
            return None
        migration = missing[0]
        on_begin(_title(migration))
        if not migration.is_outside_transaction:
            connection.execute(query("limit_lock_waits"))
            _apply(connection, migration)
            _record(connection, migration)
            return migration
    _apply_outside_transaction(connection, migration)
    return migration


def _apply(connection: psycopg.Connection[Any], migration: Migration) -> None:
    try:
        connection.execute(migration.text.encode())  # several statements, without parameters
    except PASSING:
        raise
    except psycopg.Error as error:
        raise TrackerError(
            f"migration {_title(migration)} failed, and was rolled back: {one_line(error)}"
            f" (SQLSTATE {error.sqlstate})"
        ) from error


def _apply_outside_transaction(connection: psycopg.Connection[Any], migration: Migration) -> None:
    try:
        build_index(connection, read_index(migration.text))
    except PASSING:
        raise
    except psycopg.Error as error:
        raise TrackerError(
            f"migration {_title(migration)} failed: {one_line(error)} (SQLSTATE {error.sqlstate})"
        ) from error
    with connection.transaction():
        connection.execute(query("begin_migration"))
        _record(connection, migration)


def _record(connection: psycopg.Connection[Any], migration: Migration) -> None:
    connection.execute(
        query("insert_schema_migration"),
        {
            "version": migration.version,
            "name": migration.name,
            "checksum": migration.checksum,
            "oldest_program": migration.oldest_program,
        },
    )


def _applied(connection: psycopg.Connection[Any]) -> list[AppliedMigration]:
    if not _schema_exists(connection):
        return []
    with connection.cursor(row_factory=class_row(AppliedMigration)) as cursor:
        return cursor.execute(query("list_schema_migrations")).fetchall()


def _schema_exists(connection: psycopg.Connection[Any]) -> bool:
    """Return whether the table of migrations exists.

    The catalogue says so: a statement on a table that does not exist would fail, and abort the caller's
    transaction.

    :raises SchemaMismatch: there is such a table, but it belongs to another program.
    """
    [(exists, has_columns)] = connection.execute(query("find_schema_migration")).fetchall()
    if exists and not has_columns:
        raise SchemaMismatch(_FOREIGN.format("its table schema_migration has other columns"))
    return bool(exists)


def _require_empty(connection: psycopg.Connection[Any]) -> None:
    """Check that the schema is empty or does not exist; its owner may have created it in advance.

    :raises SchemaMismatch: the schema belongs to another program.
    """
    names = [str(name) for (name,) in connection.execute(query("list_objects_in_schema"))]
    if names:
        more = ", ..." if len(names) > _MAX_NAMED else ""
        raise SchemaMismatch(_FOREIGN.format(f"it contains {', '.join(names[:_MAX_NAMED])}{more}"))


def _check_server(connection: psycopg.Connection[Any]) -> None:
    if connection.info.server_version < OLDEST_SERVER:
        raise SchemaMismatch(f"PostgreSQL {OLDEST_SERVER // 10000} or later is needed")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise SchemaMismatch(f"the database's encoding is {encoding}: create it with ENCODING 'UTF8'")


def _title(migration: Migration | AppliedMigration) -> str:
    return f"{migration.version:04d}_{migration.name}"
