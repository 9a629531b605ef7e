"""The statuses of a job."""

from enum import StrEnum
from typing import Self


class JobStatus(StrEnum):
    """The status of a job. A later one is greater; only a resume goes back, from Paused to Active."""

    WAITING = "Waiting"  # for its prerequisites, its delay, or the first report on it
    ACTIVE = "Active"
    PAUSED = "Paused"
    FAILED = "Failed"  # it can still complete, if its failed tasks do
    CANCELLED = "Cancelled"
    COMPLETED = "Completed"

    number: int
    """The number of the status in the database."""

    def __new__(cls, text: str) -> Self:
        """Number the statuses in their order; a batch compares some for each of its jobs."""
        status = str.__new__(cls, text)
        status._value_ = text
        status.number = len(cls.__members__)
        return status

    @property
    def ended(self) -> bool:
        """Whether the job has failed, was cancelled, or has completed."""
        return self >= JobStatus.FAILED

    # Comparisons of strings would compare letters.

    def __lt__(self, other: str) -> bool:
        return self.number < _number_of(other)

    def __le__(self, other: str) -> bool:
        return self.number <= _number_of(other)

    def __gt__(self, other: str) -> bool:
        return self.number > _number_of(other)

    def __ge__(self, other: str) -> bool:
        return self.number >= _number_of(other)


STATUSES = tuple(JobStatus)
"""The statuses by their numbers."""


def _number_of(status: str) -> int:
    return status.number if isinstance(status, JobStatus) else JobStatus(status).number
