"""The statuses of a job."""

from enum import StrEnum


class JobStatus(StrEnum):
    """The status of a job. A later one is greater; only a resume goes back, from Paused to Active."""

    WAITING = "Waiting"  # for its prerequisites, its delay, or the first report on it
    ACTIVE = "Active"
    PAUSED = "Paused"
    FAILED = "Failed"  # it can still complete, if its failed tasks do
    CANCELLED = "Cancelled"
    COMPLETED = "Completed"

    @property
    def number(self) -> int:
        """The number of the status in the database."""
        return _NUMBERS[self]

    @property
    def ended(self) -> bool:
        """Whether the job has failed, was cancelled, or has completed."""
        return self >= JobStatus.FAILED

    # Comparisons of strings would compare letters.

    def __lt__(self, other: str) -> bool:
        return _NUMBERS[self] < _NUMBERS[JobStatus(other)]

    def __le__(self, other: str) -> bool:
        return _NUMBERS[self] <= _NUMBERS[JobStatus(other)]

    def __gt__(self, other: str) -> bool:
        return _NUMBERS[self] > _NUMBERS[JobStatus(other)]

    def __ge__(self, other: str) -> bool:
        return _NUMBERS[self] >= _NUMBERS[JobStatus(other)]


STATUSES = tuple(JobStatus)
"""The statuses by their numbers."""

_NUMBERS = {status: number for number, status in enumerate(STATUSES)}
