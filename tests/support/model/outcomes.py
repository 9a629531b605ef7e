"""The outcomes of records and commands in the model."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.support.records import Headers

JobKey = tuple[str, str]
"""A partition ID and a job ID."""


class Refused(Exception):
    """A command is refused, and nothing has changed."""


class Conflict(Refused):
    """A job of that name exists with other content."""


class NotFound(Refused):
    """The job does not exist."""


class Forward(NamedTuple):
    """A record that is forwarded."""

    destination: str
    key: bytes | None
    value: bytes
    headers: Headers


class Release(NamedTuple):
    """A job that is sent. `message` lacks only `taskId` and `tracking.lastStatusCheckTime`."""

    partition_id: str
    job_id: str
    destination: str
    message: dict[str, Any]

    @property
    def key(self) -> bytes:
        return f"{self.partition_id}:{self.job_id}".encode()


class DeadLetter(NamedTuple):
    """A refused record. `headers` are its own, without those that an earlier refusal added."""

    reason: str
    error_count: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass
class Outcome:
    """The outcome of one record, or of one command.

    `dropped` is the job's status in lower case, `stale`, or `unknown`. `ignored` has a word for each report
    that was not written. `held_dropped` counts messages that were held before and are dropped now.
    """

    forwarded: list[Forward] = field(default_factory=list)
    dropped: str | None = None
    held: bool = False
    ignored: list[str] = field(default_factory=list)
    released: list[Release] = field(default_factory=list)
    propagated: list[JobKey] = field(default_factory=list)
    held_dropped: int = 0
    dead_letter: DeadLetter | None = None
