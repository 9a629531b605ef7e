"""How far the Kafka partitions of a batch are applied, and whether Kafka agrees.

The rules are in `tracker.agreement`.
"""

from collections.abc import Mapping

from tracker.agreement import REMEDY, Known, disagreement, is_recreated
from tracker.kafka.batch import AssignedOffset, Batch
from tracker.kafka.errors import OffsetsRefused
from tracker.kafka_partition import KafkaPartition, describe
from tracker.pipeline.handover import Pipeline
from tracker.store.applied_offsets import AppliedOffsets
from tracker.store.batch_store import BatchStore


class Disputed(Exception):
    """What Kafka said when it assigned a Kafka partition disagrees with what the database knows."""

    def __init__(self, key: KafkaPartition, assigned: AssignedOffset, sentence: str) -> None:
        super().__init__(sentence)
        self.key = key
        self.assigned = assigned


def lock_applied_offsets(
    store: BatchStore, pipeline: Pipeline, batch: Batch
) -> dict[KafkaPartition, AppliedOffsets]:
    """Lock and return the applied offsets of the batch's Kafka partitions.

    :raises Disputed: what Kafka said when it assigned a Kafka partition disagrees with the database.
    :raises OffsetsRefused: an earlier copy or another database replaced the database while the worker ran.
    """
    applied = store.lock_progress(list(batch.ranges))
    missing = {key: offsets.first for key, offsets in batch.ranges.items() if key not in applied}
    for key, assigned in batch.assigned_offsets.items():
        _require_agreement(key, assigned, applied.get(key), batch.ranges[key].first, pipeline.database_id)
    if missing:
        _require_first(missing, batch)
        ids = {key: assigned.topic_id for key, assigned in batch.assigned_offsets.items()}
        store.start_progress(missing, ids)
        applied = store.lock_progress(list(batch.ranges))
    for key, offsets in applied.items():
        _require_no_gap(key, batch.ranges[key].first, offsets)
        committed = batch.assigned_offsets[key].committed if key in batch.assigned_offsets else None
        offsets.publish_up_to(max(pipeline.published.get(key), committed or 0))
    return applied


def _require_agreement(
    key: KafkaPartition,
    assigned: AssignedOffset,
    applied: AppliedOffsets | None,
    first: int,
    database_id: str,
) -> None:
    known = None
    if applied is not None:
        known = Known(applied.next_offset, applied.published_offset, applied.topic_id)
    if is_recreated(assigned.topic_id, known):
        raise Disputed(
            key,
            assigned,
            f"topic {key[0]!r} was deleted and recreated, and the database has applied records of the old"
            f" one; {REMEDY}",
        )
    problem = disagreement(assigned.committed, assigned.metadata, known, database_id, first)
    if problem:
        raise Disputed(key, assigned, f"{describe(key)}: {problem}; {REMEDY}")


def _require_first(missing: Mapping[KafkaPartition, int], batch: Batch) -> None:
    """Refuse a Kafka partition that the database does not know, unless it has just been assigned."""
    for key, first in missing.items():
        if key not in batch.assigned_offsets:
            raise OffsetsRefused(
                f"{describe(key)}: the worker has reached {first}, and the database no longer knows"
                " anything about it: it was replaced by an earlier copy or by another database while the"
                f" worker ran; {REMEDY}"
            )


def _require_no_gap(key: KafkaPartition, first: int, applied: AppliedOffsets) -> None:
    """Refuse a gap between applied offsets and the batch: what is in it would never be applied.

    This detects a standby that took over without having the last transactions.
    """
    if first > applied.next_offset:
        raise OffsetsRefused(
            f"{describe(key)}: the worker has reached {first}, and the database has applied it only up to"
            f" {applied.next_offset}: it was replaced by an earlier copy while the worker ran; {REMEDY}"
        )
