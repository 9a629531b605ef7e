"""The rights in the database of a role that runs the tracker, and of one that only reads jobs.

A role that migrates owns the schema, and needs only the right to create it. Tests compare these lists with
the statements: each right is needed by a statement, and no statement needs another.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import psycopg
from psycopg import errors, sql

from tracker.errors import TrackerError
from tracker.store.connect import connected
from tracker.store.explain import database_errors
from tracker.store.migration_lock import migration_lock
from tracker.store.queries import query


class Rights(NamedTuple):
    """What a kind of role may do. The `option` of ``tracker migrate`` grants it."""

    option: str
    about: str  # for users
    tables: Mapping[str, tuple[str, ...]]
    sequences: tuple[str, ...] = ()


_SELECT, _INSERT, _UPDATE, _DELETE = "SELECT", "INSERT", "UPDATE", "DELETE"

# All but the task data.
_SELECT_STATE_OF_TASK_MESSAGE = (
    "SELECT (tenant_key, job_key, unmet, eligible_time, sent_time, delay_s, task_pipe, not_sent_reason)"
)

# To lock a row, a role needs the right to update it.
RUN = Rights(
    "--grant-run",
    "to run the tracker, and to submit and change jobs",
    MappingProxyType(
        {
            "schema_migration": (_SELECT,),
            "deployment": (_SELECT, _UPDATE),
            "tenant": (_SELECT, _INSERT, _UPDATE),
            "kafka_progress": (_SELECT, _INSERT, _UPDATE, _DELETE),
            "action": (_SELECT, _INSERT, _UPDATE),
            "job": (_SELECT, _INSERT, _UPDATE, _DELETE),
            "label": (_SELECT, _INSERT, _UPDATE, _DELETE),
            "prerequisite": (_SELECT, _INSERT, _UPDATE, _DELETE),
            "task_message": (_SELECT, _INSERT, _UPDATE, _DELETE),
            "held_message": (_SELECT, _INSERT, _DELETE),
            "resumed_job": (_SELECT, _INSERT, _UPDATE, _DELETE),
            "outbox": (_SELECT, _INSERT, _UPDATE, _DELETE),
            "sibling_tasks": (_SELECT, _INSERT, _UPDATE, _DELETE),
            "task_block": (_SELECT, _INSERT, _UPDATE, _DELETE),
            "task_failure": (_SELECT, _INSERT, _UPDATE, _DELETE),
            "job_note": (_SELECT, _INSERT, _UPDATE, _DELETE),
            "removed_job": (_SELECT, _INSERT, _UPDATE, _DELETE),
            "dropped_work": (_SELECT, _INSERT, _UPDATE, _DELETE),
            "record_skip": (_SELECT, _INSERT, _UPDATE, _DELETE),
            "worker_process": (_SELECT, _INSERT, _UPDATE, _DELETE),
        }
    ),
    ("job_job_key_seq", "held_message_held_number_seq"),
)
"""For ``tracker run``, and for every command and client that submits or changes jobs."""

READ = Rights(
    "--grant-read",
    "to read jobs",
    MappingProxyType(
        dict.fromkeys(
            (
                "schema_migration",
                "tenant",
                "action",
                "job",
                "label",
                "prerequisite",
                "sibling_tasks",
                "task_block",
                "task_failure",
                "worker_process",
                "job_note",
            ),
            (_SELECT,),
        )
        | {
            "task_message": (_SELECT_STATE_OF_TASK_MESSAGE,),
            "held_message": ("SELECT (tenant_key, job_key)",),
        }
    ),
)
"""For commands and clients that only read jobs. They can read neither task data nor held messages."""


def grant(conninfo: str, wanted: Sequence[tuple[str, Rights]]) -> None:
    """Give roles these rights on the schema, all or none, and revoke all others that they have there.

    :raises TrackerError: a role does not exist, or the schema belongs to another program.
    :raises DatabaseUnavailable: the database cannot be reached.
    """
    with (
        database_errors(),
        connected(conninfo, application_name="tracker migrate", autocommit=True) as connection,
        migration_lock(connection),
        connection.transaction(),
    ):
        for role, rights in wanted:
            try:
                for statement in _statements(role, rights):
                    connection.execute(statement)
            except errors.UndefinedObject:
                raise TrackerError(f"PostgreSQL has no role {role!r}: create it, then grant again") from None


def require(connection: psycopg.Connection[Any], rights: Rights) -> None:
    """Check that the connection's role has these rights; it may have others.

    :raises TrackerError: some are missing; the text says which, and how to grant them.
    """
    with database_errors():
        missing = connection.execute(
            query("find_missing_rights"),
            {
                "tables": [table for table, needed in rights.tables.items() for _ in needed],
                "rights": [right for needed in rights.tables.values() for right in needed],
                "sequences": list(rights.sequences),
            },
        ).fetchall()
    if missing:
        role = connection.info.user
        raise TrackerError(
            f"the role {role!r} lacks {', '.join(name for (name,) in missing)}: "
            f"the owner of the schema grants it, with 'tracker migrate {rights.option} {role}'"
        )


def _statements(role: str, rights: Rights) -> list[sql.Composed]:
    grantee, schema = sql.Identifier(role), sql.Identifier("tracker")
    statements = [
        sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA {} FROM {}").format(schema, grantee),
        sql.SQL("REVOKE ALL ON ALL SEQUENCES IN SCHEMA {} FROM {}").format(schema, grantee),
        sql.SQL("REVOKE ALL ON SCHEMA {} FROM {}").format(schema, grantee),
        sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, grantee),
    ]
    statements += [
        sql.SQL("GRANT {} ON {} TO {}").format(
            sql.SQL(", ".join(needed)),
            sql.Identifier("tracker", table),
            grantee,
        )
        for table, needed in rights.tables.items()
    ]
    statements += [
        sql.SQL("GRANT USAGE ON SEQUENCE {} TO {}").format(sql.Identifier("tracker", sequence), grantee)
        for sequence in rights.sequences
    ]
    return statements
