"""The statuses of a job."""

from enum import StrEnum


class JobStatus(StrEnum):
    """How far a job is: the later, the greater. It never falls back, except from Paused to Active."""

    WAITING = "Waiting"  # for its prerequisites, its delay, or its first report
    ACTIVE = "Active"
    PAUSED = "Paused"
    FAILED = "Failed"  # can still complete, if its failed tasks do
    CANCELLED = "Cancelled"
    COMPLETED = "Completed"

    @property
    def number(self) -> int:
        """The number that the database has for it."""
        return _NUMBERS[self]

    @property
    def ended(self) -> bool:
        """Whether it has Failed, was Cancelled, or has Completed."""
        return self >= JobStatus.FAILED

    # As strings, they would be compared by their letters.

    def __lt__(self, other: str) -> bool:
        return _NUMBERS[self] < _NUMBERS[JobStatus(other)]

    def __le__(self, other: str) -> bool:
        return _NUMBERS[self] <= _NUMBERS[JobStatus(other)]

    def __gt__(self, other: str) -> bool:
        return _NUMBERS[self] > _NUMBERS[JobStatus(other)]

    def __ge__(self, other: str) -> bool:
        return _NUMBERS[self] >= _NUMBERS[JobStatus(other)]


STATUSES = tuple(JobStatus)
"""By their numbers."""

_NUMBERS = {status: number for number, status in enumerate(STATUSES)}
