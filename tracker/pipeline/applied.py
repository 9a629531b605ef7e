"""A batch on its way from the database to Kafka."""

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
    """A batch that the database has, and what is to be published with it.

    `records`, `destinations` and `values` go together; None as destination: nothing is sent. Records that
    had been applied before come first.
    """

    batch: Batch
    records: Sequence[Message]
    destinations: list[str | None]
    values: list[bytes | None]
    refused: list[tuple[Message, Refusal]]
    releases: list[PendingTask]
    # For the account:
    decoded: DecodedBatch  # the new records
    decided: Decisions  # of them
    redelivered: int
    folds: list[JobFold]
