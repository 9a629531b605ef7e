"""Requests to skip records that cannot be received."""

from tracker.messages.skipped_records import SkippedRecords
from tracker.store.connect import connected
from tracker.store.explain import database_errors
from tracker.store.queries import query


def request_skip(conninfo: str, skip: SkippedRecords) -> None:
    """Have the worker of the Kafka partition skip records.

    :raises TrackerError: the database cannot be reached, or its schema does not match this program.
    """
    with database_errors(), connected(conninfo, application_name="tracker adopt") as connection:
        connection.execute(query("request_skip"), skip._asdict())


def read_skips(conninfo: str) -> list[SkippedRecords]:
    """Return the records that are to be skipped, and delete the requests that are done.

    :raises TrackerError: the database cannot be reached, or its schema does not match this program.
    """
    with database_errors(), connected(conninfo, application_name="tracker skips") as connection:
        connection.execute(query("remove_done_skips"))
        return [SkippedRecords(*row) for row in connection.execute(query("read_skips")).fetchall()]  # type: ignore[arg-type]
