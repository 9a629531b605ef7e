"""Finds which records of a batch were applied before, and what was decided about them then."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from confluent_kafka import Message

from tracker.kafka.batch import Batch, coordinates
from tracker.kafka_partition import KafkaPartition
from tracker.messages.decode import DecodedBatch
from tracker.messages.refusal import Reason, Refusal
from tracker.pipeline.refusals import Refusals
from tracker.store.applied_offsets import AppliedOffsets

# These reasons lie outside the record, and can change before the record is redelivered: so the decision is
# stored.
_STORED_REASONS = (Reason.DESTINATION_UNKNOWN, Reason.DESTINATION_NOT_ALLOWED, Reason.DATABASE_REJECTED)


@dataclass
class Part:
    """The new records of a batch, or the redelivered ones, which were applied before."""

    records: list[Message]
    decoded: DecodedBatch

    def reject(self, rejected: Refusal) -> None:
        """Turn its only record into a dead letter."""
        self.decoded = DecodedBatch(len(self.records))
        self.decoded.refused.append((0, rejected))


def split_redelivered(
    batch: Batch,
    decoded: DecodedBatch,
    applied: Mapping[KafkaPartition, AppliedOffsets],
    refusals: Refusals,
    decode: Callable[[list[Message]], DecodedBatch],
) -> tuple[Part, Part]:
    """Return the records that were applied before, and the new ones.

    `decoded` is the whole batch, decoded as if all its records were new.
    """
    records = list(batch.records)
    if all(applied[key].next_offset <= offsets.first for key, offsets in batch.ranges.items()):
        return Part([], DecodedBatch(0)), Part(records, decoded.copy())
    old: list[Message] = []
    new: list[Message] = []
    for record in records:
        key, offset = coordinates(record)
        (old if offset < applied[key].next_offset else new).append(record)
    old_decoded = decode(old)
    _refuse_again(old, old_decoded, applied, refusals)
    return Part(old, old_decoded), Part(new, decode(new))


def withheld_positions(records: list[Message], applied: Mapping[KafkaPartition, AppliedOffsets]) -> set[int]:
    """Return the positions of records that were dropped or held when they were applied."""
    found = set()
    for position, record in enumerate(records):
        key, offset = coordinates(record)
        if offset in applied[key].withheld:
            found.add(position)
    return found


def record_applied(
    batch: Batch, applied: dict[KafkaPartition, AppliedOffsets], new: Part, withheld: Collection[int]
) -> None:
    """Record in `applied` that the batch is applied, and the decisions to repeat if it is redelivered.

    `withheld`: the positions of new records that are dropped or held.
    """
    for position in withheld:
        key, offset = coordinates(new.records[position])
        applied[key].withheld.add(offset)
    for position, refusal in new.decoded.refused:
        if refusal.reason in _STORED_REASONS:
            key, offset = coordinates(new.records[position])
            applied[key].refused[offset] = refusal.reason.value, refusal.detail
    for key, offsets in batch.ranges.items():
        applied[key].next_offset = max(applied[key].next_offset, offsets.next)
    for key, time_ms in batch.last_times_ms().items():
        applied[key].record_time_ms = time_ms


def _refuse_again(
    records: list[Message],
    decoded: DecodedBatch,
    applied: Mapping[KafkaPartition, AppliedOffsets],
    refusals: Refusals,
) -> None:
    """Refuse the records again that were refused for a stored reason, or by Kafka."""
    refused = dict(decoded.refused)
    for position, record in enumerate(records):
        key, offset = coordinates(record)
        refusal = refusals.of_record(key, offset)
        if offset in applied[key].refused:
            reason, detail = applied[key].refused[offset]
            refusal = Refusal(Reason(reason), detail)
        if refusal is not None:
            refused[position] = refusal
            decoded.destinations[position] = None
    decoded.refused = sorted(refused.items())
