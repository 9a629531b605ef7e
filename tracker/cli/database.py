"""The client for the database that the environment names, and arguments that name jobs."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tracker import Client


def database_url() -> str:
    """Return the connection string that the environment describes.

    :raises SettingsError: something in the environment is wrong, or no database is named.
    """
    from tracker.settings import load

    # The driver's pool would log what the command prints as a sentence.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    return load(need={"database"}).database_conninfo()


def open_client() -> "Client":
    """Return a client for the database that the environment names, to be used in a ``with`` statement."""
    from tracker import Client

    return Client(database_url(), max_connections=1)


def checked(read: Callable[[str], object]) -> Callable[[list[str] | str | None], list[str] | str | None]:
    """Return a callback for typer that reports what `read` refuses as wrong usage."""
    from tracker.errors import TrackerError

    def check(value: list[str] | str | None) -> list[str] | str | None:
        try:
            for text in [value] if isinstance(value, str) else value or []:
                read(text)
        except TrackerError as error:
            raise typer.BadParameter(str(error)) from None
        return value

    return check


def _read_job(text: str) -> object:
    from tracker.jobs.validation import read_job_name

    return read_job_name(text)


def _read_partition(text: str) -> object:
    from tracker.jobs.validation import read_partition_id

    return read_partition_id(text)


JobName = Annotated[
    str,
    typer.Argument(
        metavar="JOB", help="partitionId:jobId, or jobId in default.", callback=checked(_read_job)
    ),
]
SomeJobName = Annotated[
    str | None,
    typer.Argument(
        metavar="JOB", help="partitionId:jobId, or jobId in default.", callback=checked(_read_job)
    ),
]
JobNames = Annotated[
    list[str],
    typer.Argument(
        metavar="JOB...", help="Each partitionId:jobId, or jobId in default.", callback=checked(_read_job)
    ),
]
SomeJobNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="JOB...", help="Each partitionId:jobId, or jobId in default.", callback=checked(_read_job)
    ),
]
PartitionIds = Annotated[
    list[str],
    typer.Argument(metavar="PARTITION_ID...", help="Partition IDs.", callback=checked(_read_partition)),
]
Timeout = Annotated[float | None, typer.Option(min=0, metavar="SECONDS", help="How long to wait at most.")]
