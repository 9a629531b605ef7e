"""Binds a database to a consumer group."""

from tracker.errors import TrackerError
from tracker.settings import Settings
from tracker.store.connect import connected
from tracker.store.explain import database_errors
from tracker.store.queries import query


def claim_deployment(settings: Settings) -> str:
    """Bind the database to the consumer group, at the first run, and return the database's ID.

    The ID is in the metadata of every offset that the tracker commits, and shows which database the offset
    belongs to. A database that is bound already is only read.

    :raises TrackerError: the database serves another group.
    :raises DatabaseUnavailable: it cannot be reached.
    """
    with database_errors(), connected(settings.database_conninfo()) as connection:
        [(database_id, group_id)] = connection.execute(query("read_deployment")).fetchall()
        if group_id is None:
            [(database_id, group_id)] = connection.execute(
                query("claim_deployment"), {"group_id": settings.group_id}
            ).fetchall()
    return _checked(settings, database_id, group_id)


def read_deployment(settings: Settings) -> str:
    """Return the database's ID as `claim_deployment` does, but do not bind the database."""
    with database_errors(), connected(settings.database_conninfo()) as connection:
        [(database_id, group_id)] = connection.execute(query("read_deployment")).fetchall()
    return _checked(settings, database_id, group_id or settings.group_id)


def _checked(settings: Settings, database_id: object, group_id: object) -> str:
    if group_id != settings.group_id:
        raise TrackerError(
            f"the database serves the consumer group {group_id!r}, so {settings.group_id!r} needs another"
            " database (TRACKER_GROUP_ID, TRACKER_DATABASE_URL)"
        )
    return str(database_id)
