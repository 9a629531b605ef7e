"""Which jobs, in which order, how many: values without a syntax.

Each edge parses its own syntax into them: the command line its options, `Client` its keyword arguments.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from tracker.identifiers import JobName
from tracker.job_status import JobStatus


class LabelFilter(NamedTuple):
    """A label that a job must have."""

    key: str
    value: str | None = None  # None: any value, also null


@dataclass(frozen=True)
class JobFilter:
    """Which jobs: those that match all that is given."""

    names: tuple[JobName, ...] | None = None
    partition_id: str | None = None
    prefix: str | None = None  # of the job ID
    statuses: tuple[JobStatus, ...] = ()  # any of these; none given: any status
    labels: tuple[LabelFilter, ...] = ()  # all of these


class SortField(StrEnum):
    """What a list of jobs can be sorted by."""

    CREATE_TIME = "createTime"
    LAST_UPDATE_TIME = "lastUpdateTime"
    ID = "id"


@dataclass(frozen=True)
class Sort:
    """The order of a list of jobs."""

    field: SortField
    descending: bool = False


@dataclass(frozen=True)
class Page:
    """How much of a list."""

    limit: int | None = None  # jobs; None: all


EVERY_JOB = JobFilter()
NEWEST_FIRST = Sort(SortField.CREATE_TIME, descending=True)
WHOLE_LIST = Page()
