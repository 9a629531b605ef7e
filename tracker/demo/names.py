"""The names of the demo's topics."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """The demo's topics, in the order in which a message passes them, and the tracker's consumer group."""

    documents: str = "documents"
    tracking: str = "tracking"
    pages: str = "pages"
    scans: str = "scans"
    results: str = "results"
    photos: str = "photos"  # no worker reads it
    dead_letters: str = "tracker-dead-letter"
    group: str = "tracker"

    @classmethod
    def with_prefix(cls, prefix: str) -> "Names":
        """Return names that begin with `prefix`, for servers that others use too."""
        plain = cls()
        return cls(
            documents=f"{prefix}-{plain.documents}",
            tracking=f"{prefix}-{plain.tracking}",
            pages=f"{prefix}-{plain.pages}",
            scans=f"{prefix}-{plain.scans}",
            results=f"{prefix}-{plain.results}",
            photos=f"{prefix}-{plain.photos}",
            dead_letters=f"{prefix}-{plain.dead_letters}",
            group=f"{prefix}-{plain.group}",
        )

    def kafka_partitions(self) -> dict[str, int]:
        """Return the number of Kafka partitions of each topic."""
        return {
            self.documents: 2,
            self.tracking: 4,
            self.pages: 4,
            self.scans: 1,
            self.results: 4,
            self.photos: 1,
            self.dead_letters: 1,
        }
