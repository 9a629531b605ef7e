"""Publishes an applied batch: forwards, releases, dead letters and offsets, in one transaction."""

import time
from functools import partial

from confluent_kafka import Message

from tracker.kafka.batch import coordinates, offsets_to_commit
from tracker.kafka.dead_letters import DeadLetters, refusal_of
from tracker.kafka.errors import MessagesRefused
from tracker.kafka.producer import BatchProducer, OutgoingMessage
from tracker.kafka.sending import outgoing_tasks
from tracker.kafka_partition import KafkaPartition
from tracker.messages.dead_letter import Source
from tracker.messages.pending_task import StatusCheck
from tracker.messages.refusal import Refusal
from tracker.messages.skipped_records import SkippedRecords
from tracker.pipeline.applied import Applied
from tracker.pipeline.refusals import JobKey, Refusals
from tracker.pipeline.unusual import describe_record
from tracker.rate_limited_log import RateLimitedLog


class Publisher:
    """Publishes batches, one at a time. Messages that Kafka refuses are added to `refusals`."""

    def __init__(
        self,
        producer: BatchProducer,
        dead_letters: DeadLetters,
        database_id: str,
        refusals: Refusals,
        status_check: StatusCheck,
    ) -> None:
        self._producer = producer
        self._dead_letters = dead_letters
        self._refusals = refusals
        self._database_id = database_id
        self._limited_log = RateLimitedLog()
        self._status_check = status_check

    def publish(self, applied: Applied) -> None:
        """Publish the batch and commit its offsets; without transactions, the caller must commit them.

        :raises BatchAbandoned: nothing of it is visible, and it is redelivered.
        :raises SlotShared: another process uses the transactional ID.
        """
        now_ms = time.time_ns() // 1_000_000
        messages = outgoing_tasks(applied.releases, self._status_check, now_ms)
        messages += [self._dead_letter(record, refusal) for record, refusal in applied.refused]
        batch = applied.batch
        messages += [self._dead_letter_of_skipped(batch.skipped)] if batch.skipped else []
        offsets = offsets_to_commit(batch.next_offsets(), self._database_id)
        try:
            self._producer.publish(
                applied.records, applied.destinations, applied.values, messages, offsets, batch.group_metadata
            )
        except MessagesRefused as refused:
            self._record_refused(applied, messages, refused)
            raise
        self._refusals.remove_published(batch.next_offsets())

    def _record_refused(
        self, applied: Applied, messages: list[OutgoingMessage], refused: MessagesRefused
    ) -> None:
        """Remember what was refused: records become dead letters, and the scheduler gets the releases."""
        records, releases = applied.records, applied.releases
        refused_records: dict[tuple[KafkaPartition, int], Refusal] = {}
        refused_releases: dict[JobKey, Refusal] = {}
        for position, error in refused.errors.items():
            index = position - len(records)  # in `messages`, which begin with the releases
            topic = applied.destinations[position] if index < 0 else messages[index].topic
            refusal = refusal_of(topic or "", error)
            if index < 0:
                record = records[position]
                self._limited_log.log(
                    "warning", "Kafka refuses a message", refusal.detail, partial(describe_record, record)
                )
                refused_records[coordinates(record)] = refusal
            elif index < len(releases):
                task = releases[index]
                describe = partial(dict[str, object], job=str(task.job))
                self._limited_log.log("warning", "Kafka refuses a job", refusal.detail, describe)
                refused_releases[task.tenant_key, task.job_key] = refusal
            else:
                self._dead_letters.on_refused(error)
        self._refusals.add(applied.batch.next_offsets(), refused_records, refused_releases)

    def _dead_letter_of_skipped(self, skipped: SkippedRecords) -> OutgoingMessage:
        source = Source(skipped.topic, skipped.kafka_partition, skipped.first_offset, -1)
        return self._dead_letters.make(None, None, None, skipped.refusal(), source)

    def _dead_letter(self, record: Message, refusal: Refusal) -> OutgoingMessage:
        (topic, kafka_partition), offset = coordinates(record)
        _, timestamp_ms = record.timestamp()
        source = Source(topic, kafka_partition, offset, timestamp_ms)
        return self._dead_letters.make(record.key(), record.value(), record.headers(), refusal, source)
