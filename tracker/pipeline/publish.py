"""Publishes an applied batch: forwards, releases, dead letters, and the offsets, in one transaction."""

import time
from functools import partial

from confluent_kafka import Message

from tracker.kafka.batch import coordinates
from tracker.kafka.dead_letters import DeadLetters, refusal
from tracker.kafka.errors import MessagesRefused
from tracker.kafka.producer import BatchProducer, OutgoingMessage, offsets_to_commit
from tracker.kafka.sending import outgoing_tasks, status_check_of
from tracker.kafka_partition import KafkaPartition
from tracker.messages.dead_letter import Source
from tracker.messages.refusal import Refusal
from tracker.messages.skipped_records import SkippedRecords
from tracker.pipeline.applied import Applied
from tracker.pipeline.refusals import JobKey, Refusals
from tracker.pipeline.unusual import named
from tracker.rate_limited_log import RateLimitedLog
from tracker.settings import Settings


class Publisher:
    """Publishes batches, one at a time. What Kafka refuses of them is added to `refusals`."""

    def __init__(
        self,
        settings: Settings,
        producer: BatchProducer,
        dead_letters: DeadLetters,
        database_id: str,
        refusals: Refusals,
    ) -> None:
        self._producer = producer
        self._dead_letters = dead_letters
        self._refusals = refusals
        self._database_id = database_id
        self._limited_log = RateLimitedLog()
        self._check = status_check_of(settings)

    def publish(self, applied: Applied) -> None:
        """Publish the batch; its offsets are committed with it (exactly once), or are the caller's to commit.

        :raises BatchAbandoned: nothing of it is visible, and it comes again.
        :raises SlotShared: another process uses the transactional ID.
        """
        now_ms = time.time_ns() // 1_000_000
        others = outgoing_tasks(applied.releases, self._check, now_ms)
        others += [self._dead_letter(record, why) for record, why in applied.refused]
        batch = applied.batch
        others += [self._letter_of_skipped(batch.skipped)] if batch.skipped else []
        offsets = offsets_to_commit(batch.next_offsets(), self._database_id)
        try:
            self._producer.publish(
                applied.records, applied.destinations, applied.values, others, offsets, batch.group_metadata
            )
        except MessagesRefused as refused:
            self._note(applied, others, refused)
            raise
        self._refusals.published(batch.next_offsets())

    def _note(self, applied: Applied, others: list[OutgoingMessage], refused: MessagesRefused) -> None:
        """Note what was refused: records become dead letters, and releases are left to the scheduler."""
        records, releases = applied.records, applied.releases
        refused_records: dict[tuple[KafkaPartition, int], Refusal] = {}
        refused_releases: dict[JobKey, Refusal] = {}
        for position, error in refused.errors.items():
            other = position - len(records)
            topic = applied.destinations[position] if other < 0 else others[other].topic
            why = refusal(topic or "", error)
            if other < 0:
                record = records[position]
                self._limited_log.note(
                    "warning", "Kafka refuses a message", why.detail, partial(named, record)
                )
                refused_records[coordinates(records[position])] = why
            elif other < len(releases):
                job = releases[other].job
                self._limited_log.note(
                    "warning", "Kafka refuses a job", why.detail, partial(dict[str, object], job=str(job))
                )
                refused_releases[releases[other].tenant_key, releases[other].job_key] = why
            else:
                self._dead_letters.on_refused(error)
        self._refusals.note(applied.batch.next_offsets(), refused_records, refused_releases)

    def _letter_of_skipped(self, skipped: SkippedRecords) -> OutgoingMessage:
        source = Source(skipped.topic, skipped.kafka_partition, skipped.first_offset, -1)
        return self._dead_letters.make(None, None, None, skipped.why(), source)

    def _dead_letter(self, record: Message, why: Refusal) -> OutgoingMessage:
        (topic, kafka_partition), offset = coordinates(record)
        _, timestamp_ms = record.timestamp()
        source = Source(topic, kafka_partition, offset, timestamp_ms)
        return self._dead_letters.make(record.key(), record.value(), record.headers(), why, source)
