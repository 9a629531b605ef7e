"""Publishes an applied batch: forwards, starts, dead letters, and the offsets, in one transaction."""

import time
from functools import partial

from confluent_kafka import Message

from tracker.kafka.batch import TopicPartition, coordinates
from tracker.kafka.dead_letters import DeadLetters, refusal
from tracker.kafka.errors import MessagesRefused
from tracker.kafka.producer import BatchProducer, OutgoingMessage, next_offsets
from tracker.messages.pending_task import StatusCheck, start_message
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
        self._check = StatusCheck(
            settings.service_url, settings.status_check_interval_seconds * 1000, settings.topics[0]
        )

    def publish(self, applied: Applied) -> None:
        """Publish the batch; its offsets are committed with it (exactly once), or are the caller's to commit.

        :raises BatchGivenUp: nothing of it is visible, and it comes again.
        :raises SlotShared: another process uses the transactional ID.
        """
        now_ms = time.time_ns() // 1_000_000
        others = [
            OutgoingMessage(
                start.task_pipe, str(start.job).encode(), start_message(start, self._check, now_ms), None
            )
            for start in applied.starts
        ]
        others += [self._dead_letter(record, why) for record, why in applied.refused]
        batch = applied.batch
        others += [self._letter_of_skipped(batch.skipped)] if batch.skipped else []
        offsets = next_offsets(batch.ranges, self._database_id)
        try:
            self._producer.publish(
                applied.records, applied.destinations, applied.values, others, offsets, batch.group_metadata
            )
        except MessagesRefused as refused:
            self._note(applied, others, refused)
            raise
        self._refusals.published(batch.ends())

    def _note(self, applied: Applied, others: list[OutgoingMessage], refused: MessagesRefused) -> None:
        """Note what was refused: records become dead letters, and starts are left to the scheduler."""
        records, starts = applied.records, applied.starts
        refused_records: dict[tuple[TopicPartition, int], Refusal] = {}
        refused_starts: dict[JobKey, Refusal] = {}
        for place, error in refused.why.items():
            other = place - len(records)
            topic = applied.destinations[place] if other < 0 else others[other].topic
            why = refusal(topic or "", error)
            if other < 0:
                record = records[place]
                self._limited_log.note(
                    "warning", "Kafka refuses a message", why.detail, partial(named, record)
                )
                refused_records[coordinates(records[place])] = why
            elif other < len(starts):
                job = starts[other].job
                self._limited_log.note(
                    "warning", "Kafka refuses a job", why.detail, partial(dict[str, object], job=str(job))
                )
                refused_starts[starts[other].tenant_key, starts[other].job_key] = why
            else:
                self._dead_letters.were_refused(error)
        self._refusals.note(applied.batch.ends(), refused_records, refused_starts)

    def _letter_of_skipped(self, skipped: SkippedRecords) -> OutgoingMessage:
        source = [
            ("topic", skipped.topic),
            ("partition", skipped.kafka_partition),
            ("offset", skipped.first_offset),
            ("timestamp", -1),  # Kafka's word for not known
        ]
        return self._dead_letters.make(None, None, None, skipped.why(), source)

    def _dead_letter(self, record: Message, why: Refusal) -> OutgoingMessage:
        (topic, kafka_partition), offset = coordinates(record)
        _, timestamp_ms = record.timestamp()
        source = [
            ("topic", topic),
            ("partition", kafka_partition),
            ("offset", offset),
            ("timestamp", timestamp_ms),
        ]
        return self._dead_letters.make(record.key(), record.value(), record.headers(), why, source)
