"""In which order jobs are listed, and how many: values without a syntax. Which: `tracker.job_filter`."""

from dataclasses import dataclass
from datetime import datetime
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

    def __str__(self) -> str:
        """Return it as people write it."""
        return f"-{self.field}" if self.descending else str(self.field)


Position = tuple[datetime, int] | tuple[str, str]
"""Where a job is in a list: its time and its key, or in the order of IDs its partition ID and its ID."""


@dataclass(frozen=True)
class Page:
    """How much of a list."""

    limit: int | None = None  # jobs; None: all
    after: Position | None = None  # None: from the first on


NEWEST_FIRST = Sort(SortField.CREATE_TIME, descending=True)
WHOLE_LIST = Page()
