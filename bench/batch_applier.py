"""Applies batches as a worker does, without Kafka."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import Message

from bench.tracker_process import tracker_settings
from bench.workload import ProducerRecord
from tracker.kafka.batch import AssignedOffset, Batch, Epoch, OffsetRange, coordinates
from tracker.kafka_partition import KafkaPartition
from tracker.messages.decode import DecodedBatch, Rules, decode_batch
from tracker.metrics import Recorder
from tracker.pipeline import collect_garbage_seldom
from tracker.pipeline.applied import Applied
from tracker.pipeline.apply import Applier
from tracker.pipeline.handover import Pipeline
from tracker.pipeline.refusals import Refusals
from tracker.store.batch_store import BatchStore

_NOW_MS = 1_700_000_000_000


class BatchApplier:
    """Decodes and applies batches of records, which have been read from `tracking_topic`.

    Each batch counts as published as soon as it is applied.
    """

    def __init__(self, store: BatchStore, tracking_topic: str) -> None:
        settings = tracker_settings({}, workers=1)
        self._topic = tracking_topic
        self._rules = Rules(
            [tracking_topic], lambda _: None, settings.max_message_bytes, settings.max_failure_chars
        )
        self._pipeline = Pipeline()
        self._applier = Applier(
            store,
            self._rules,
            Recorder(),
            self._pipeline,
            Refusals(),
            self._pipeline.published.get,
            propagate_failures=settings.propagate_failures,
        )
        self._epoch = Epoch()
        self._next_offsets: dict[KafkaPartition, int] = {}

    def batch(self, records: Sequence[Message]) -> Batch:
        """Return records as the next batch."""
        ranges: dict[KafkaPartition, OffsetRange] = {}
        for record in records:
            key, offset = coordinates(record)
            first = ranges[key].first if key in ranges else offset
            ranges[key] = OffsetRange(first, offset + 1)
        new = {key: AssignedOffset(None, "", "") for key in ranges if key not in self._next_offsets}
        batch = Batch(records, ranges, self._epoch, None, 0, new)
        self._next_offsets.update(batch.next_offsets())
        return batch

    def receive(self, messages: Sequence[ProducerRecord]) -> Batch:
        """Return messages as the next batch, with the offsets at which a consumer would receive them."""
        offsets = dict(self._next_offsets)
        records = []
        for kafka_partition, key, value in messages:
            offset = offsets.get((self._topic, kafka_partition), 0)
            offsets[self._topic, kafka_partition] = offset + 1
            records.append(
                Message(topic=self._topic, partition=kafka_partition, offset=offset, key=key, value=value)
            )
        return self.batch(records)

    def decode(self, batch: Batch) -> DecodedBatch:
        """Decode the records of a batch."""
        return decode_batch(batch.records, self._rules, _NOW_MS)

    def apply(self, batch: Batch, decoded: DecodedBatch) -> Applied:
        """Apply a batch, and remove what it has put into the outbox."""
        applied = self._applier.apply(batch, decoded)
        self._pipeline.published.update(batch.next_offsets())
        if applied.releases:
            self._applier.clear_outbox(batch.next_offsets())
        return applied


@contextmanager
def garbage_collected_as_in_a_worker() -> Iterator[None]:
    """Let Python collect garbage as seldom as in a worker."""
    before = gc.get_threshold()
    collect_garbage_seldom()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
