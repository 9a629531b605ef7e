"""A batch that is applied and not yet published."""

from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Message

from tracker.fold.decide import Decisions
from tracker.fold.job_fold import JobFold
from tracker.kafka.batch import Batch
from tracker.messages.decode import DecodedBatch
from tracker.messages.pending_task import PendingTask
from tracker.messages.refusal import Refusal


@dataclass
class Applied:
    """A batch that the database has committed, and what is to be published with it.

    `records`, `destinations` and `values` have the same length. None as destination: the record is not sent.
    Records that had been applied before come first.
    """

    batch: Batch
    records: Sequence[Message]
    destinations: list[str | None]
    values: list[bytes | None]
    refused: list[tuple[Message, Refusal]]
    releases: list[PendingTask]
    # For metrics and the log:
    decoded: DecodedBatch  # the new records
    decided: Decisions  # about the new records
    redelivered: int
    contradictory: list[JobFold]  # with contradictions; the others are freed, because jobs may be many
