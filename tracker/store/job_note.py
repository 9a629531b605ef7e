"""What a batch notes of a job, besides its state."""

from dataclasses import dataclass


@dataclass(slots=True)
class JobNote:
    """How many messages of a job a batch has dropped, and how many became dead letters.

    The reason and the record (topic:kafkaPartition:offset) are those of the last one of each kind.
    """

    dropped: int = 0
    drop_reason: str | None = None
    drop_record: str | None = None
    dead_letters: int = 0
    dead_letter_reason: str | None = None
    dead_letter_record: str | None = None
