"""In which order jobs are listed, and how many: values without a syntax. Which: `tracker.job_filter`."""

from dataclasses import dataclass
from enum import StrEnum


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


NEWEST_FIRST = Sort(SortField.CREATE_TIME, descending=True)
WHOLE_LIST = Page()
