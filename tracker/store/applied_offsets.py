"""How far a Kafka partition is applied to the database."""

from dataclasses import dataclass, field


@dataclass
class AppliedOffsets:
    """How far a Kafka partition is applied (`next_offset`) and known to be published.

    Of the records between, `withheld` are the offsets of those that were dropped or held, and `refused`
    maps the offsets of those that became dead letters for a reason outside themselves to (reason, detail).
    """

    next_offset: int
    published_offset: int
    topic_id: str = ""  # '': not known
    withheld: set[int] = field(default_factory=set)
    refused: dict[int, tuple[str, str]] = field(default_factory=dict)

    def publish_up_to(self, offset: int) -> None:
        """Forget what is known to be published."""
        if offset > self.published_offset:
            self.published_offset = min(offset, self.next_offset)
            self.withheld = {kept for kept in self.withheld if kept >= offset}
            self.refused = {kept: why for kept, why in self.refused.items() if kept >= offset}
