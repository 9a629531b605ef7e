"""What can go wrong with a benchmark, apart from what can go wrong with the tracker and the stack."""

from tracker.errors import TrackerError


class BenchError(TrackerError):
    """The benchmark cannot go on; the text is one plain sentence."""


class WrongResult(BenchError):
    """What came out is not what had to come out: speed is of no interest then."""
