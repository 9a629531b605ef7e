"""What a role needs in the database: one that runs the tracker, and one that only looks.

The role that migrates owns the schema, and needs no more than to be allowed to create it. Tests hold these
lists to the statements: each right is needed by one of them, and none needs more.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import psycopg
from psycopg import errors, sql

from tracker.errors import TrackerError
from tracker.store import locks
from tracker.store.connect import connected
from tracker.store.explain import database_errors
from tracker.store.queries import query


class Rights(NamedTuple):
    """What a kind of role may do: `option` of ``tracker migrate`` grants it."""

    option: str
    about: str  # for people
    tables: Mapping[str, tuple[str, ...]]
    sequences: tuple[str, ...] = ()


_LOOK, _ADD, _CHANGE, _REMOVE = "SELECT", "INSERT", "UPDATE", "DELETE"

# To lock a row takes the right to change it.
RUN = Rights(
    "--grant-run",
    "to run the tracker, and to submit and change jobs",
    MappingProxyType(
        {
            "schema_migration": (_LOOK,),
            "deployment": (_LOOK, _CHANGE),
            "tenant": (_LOOK, _ADD, _CHANGE),
            "kafka_progress": (_LOOK, _ADD, _CHANGE, _REMOVE),
            "job": (_LOOK, _ADD, _CHANGE, _REMOVE),
            "label": (_LOOK, _ADD, _REMOVE),
            "prerequisite": (_LOOK, _ADD, _CHANGE, _REMOVE),
            "pending_task": (_LOOK, _ADD, _CHANGE, _REMOVE),
            "held_message": (_LOOK, _ADD, _REMOVE),
            "resumed_job": (_LOOK, _ADD, _CHANGE, _REMOVE),
            "outbox": (_LOOK, _ADD, _CHANGE, _REMOVE),
            "task": (_LOOK, _ADD, _CHANGE, _REMOVE),
            "task_block": (_LOOK, _ADD, _CHANGE, _REMOVE),
            "task_failure": (_LOOK, _ADD, _CHANGE, _REMOVE),
            "removed_job": (_LOOK, _ADD, _CHANGE, _REMOVE),
            "dropped_work": (_LOOK, _ADD, _CHANGE, _REMOVE),
            "record_skip": (_LOOK, _ADD, _CHANGE, _REMOVE),
        }
    ),
    ("job_job_key_seq", "held_message_held_number_seq"),
)
"""For ``tracker run``, and for every command and client that submits or changes jobs."""

READ = Rights(
    "--grant-read",
    "to look at jobs",
    MappingProxyType(
        dict.fromkeys(
            ("schema_migration", "tenant", "job", "label", "prerequisite", "task", "task_failure"), (_LOOK,)
        )
    ),
)
"""For commands and clients that only look at jobs. What tasks are to do, and held messages, stay unseen."""


def grant(conninfo: str, wanted: Sequence[tuple[str, Rights]]) -> None:
    """Give roles these rights on the schema, all of them or none, and take away what others they have there.

    :raises TrackerError: there is no such role, or the schema is another's.
    :raises DatabaseUnavailable: the database cannot be reached.
    """
    with database_errors(), connected(conninfo, application_name="tracker migrate") as connection:
        connection.execute(query("lock_migration"), {"class": locks.MIGRATION})
        for role, rights in wanted:
            try:
                for statement in _statements(role, rights):
                    connection.execute(statement)
            except errors.UndefinedObject:
                raise TrackerError(f"PostgreSQL has no role {role!r}: create it, then grant again") from None


def require(connection: psycopg.Connection[Any], rights: Rights) -> None:
    """Make sure that the connection's role has these rights; others do no harm.

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
            f"whoever owns the schema grants it, with 'tracker migrate {rights.option} {role}'"
        )


def _statements(role: str, rights: Rights) -> list[sql.Composed]:
    to, schema = sql.Identifier(role), sql.Identifier("tracker")
    made = [
        sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA {} FROM {}").format(schema, to),
        sql.SQL("REVOKE ALL ON ALL SEQUENCES IN SCHEMA {} FROM {}").format(schema, to),
        sql.SQL("REVOKE ALL ON SCHEMA {} FROM {}").format(schema, to),
        sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, to),
    ]
    made += [
        sql.SQL("GRANT {} ON {} TO {}").format(
            sql.SQL(", ".join(needed)),
            sql.Identifier("tracker", table),
            to,
        )
        for table, needed in rights.tables.items()
    ]
    made += [
        sql.SQL("GRANT USAGE ON SEQUENCE {} TO {}").format(sql.Identifier("tracker", sequence), to)
        for sequence in rights.sequences
    ]
    return made
