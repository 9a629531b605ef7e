"""How a watched job is said in a few words."""

from typing import TYPE_CHECKING

from tracker.cli.output import in_one_line

if TYPE_CHECKING:
    from tracker import TimeLeft, WatchedJob

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_OPEN_ENDED = 100  # times the lower number of seconds; a larger one says nothing


def line_of(job: "WatchedJob") -> str:
    """Return a job as it is now in one line."""
    words = [status_of(job), f"{percentage_of(job)} %", rate_of(job)]
    if left := time_left_of(job):
        words.append(f"{left} left")
    return f"{name_of(job)}: {', '.join(filter(None, words))}"


def name_of(job: "WatchedJob") -> str:
    """Return the name of a job."""
    return in_one_line(job)


def status_of(job: "WatchedJob") -> str:
    """Return the status of a job."""
    return "not stored" if job.status is None else job.status


def percentage_of(job: "WatchedJob") -> str:
    """Return how much of a job is done."""
    return f"{'~' if job.estimate else ''}{job.percentage_complete:.2f}"


def rate_of(job: "WatchedJob") -> str:
    """Return how fast a job runs: in tasks, or in percent if it has no subtasks."""
    if job.tasks_per_second is not None:
        decimals = 1 if job.tasks_per_second < 100 else 0
        return f"{job.tasks_per_second:,.{decimals}f} tasks/s"
    return "" if job.percent_per_second is None else f"{job.percent_per_second:.2f} %/s"


def time_left_of(job: "WatchedJob") -> str:
    """Return how much longer a job runs."""
    return "" if job.time_left is None else _interval(job.time_left)


def _interval(left: "TimeLeft") -> str:
    low, high = _duration(left.low), _duration(left.high)
    if left.high > _OPEN_ENDED * max(left.low, 1):
        return f"more than {low}"
    return low if low == high else f"{low} to {high}"


def _duration(seconds: int) -> str:
    for length, unit in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds} s"
