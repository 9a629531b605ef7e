"""The errors of the benchmark itself; those of the tracker and the stack come on top."""

from tracker.errors import TrackerError


class BenchError(TrackerError):
    """The benchmark cannot continue; the text is one plain sentence."""


class WrongResult(BenchError):
    """A result is not what it must be, so its speed is of no interest."""
