"""Records that nobody can receive, and that are stepped over."""

from typing import NamedTuple

from tracker.messages.refusal import Reason, Refusal


class SkippedRecords(NamedTuple):
    """Offsets of a Kafka partition, from `first_offset` to before `next_offset`, and why none is received."""

    topic: str
    kafka_partition: int
    first_offset: int
    next_offset: int
    reason: str

    def offsets(self) -> str:
        """Name them."""
        last = self.next_offset - 1
        return f"offset {last}" if last == self.first_offset else f"offsets {self.first_offset} to {last}"

    def why(self) -> Refusal:
        """Say in a dead letter that they were stepped over."""
        return Refusal(
            Reason.UNRECEIVABLE,
            f"{self.offsets()} could not be received, and somebody had them stepped over: {self.reason}",
        )
