"""Records that cannot be received, and that are skipped."""

from typing import NamedTuple

from tracker.messages.refusal import Reason, Refusal


class SkippedRecords(NamedTuple):
    """Offsets of a Kafka partition, from `first_offset` up to `next_offset`, and why they are skipped."""

    topic: str
    kafka_partition: int
    first_offset: int
    next_offset: int
    reason: str

    def describe_offsets(self) -> str:
        """Return the offsets in words."""
        last = self.next_offset - 1
        return f"offset {last}" if last == self.first_offset else f"offsets {self.first_offset} to {last}"

    def refusal(self) -> Refusal:
        """Return the refusal for their dead letter."""
        return Refusal(
            Reason.UNRECEIVABLE,
            f"{self.describe_offsets()} could not be received, and were skipped by hand: {self.reason}",
        )
