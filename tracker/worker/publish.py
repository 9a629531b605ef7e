"""Publishes an applied batch: forwards, starts, dead letters, and the offsets, in one transaction."""

import time
from typing import Any

from confluent_kafka import Message

from tracker.kafka.batch import coordinates
from tracker.kafka.producer import BatchProducer, OutgoingMessage, next_offsets
from tracker.messages.refusal import Refused, dead_letter_headers, truncated_header
from tracker.messages.release import StatusCheck, start_message
from tracker.settings import Settings
from tracker.worker.apply import Applied

_ENVELOPE_BYTES = 1_024  # what a record's framing takes beyond key, value and headers, generously


class Publisher:
    """Publishes batches, one at a time."""

    def __init__(
        self, settings: Settings, producer: BatchProducer, dead_letter_limit_bytes: int, database_id: str
    ) -> None:
        self._producer = producer
        self._group_id = settings.group_id
        self._dead_letter_topic = settings.dead_letter_topic
        self._dead_letter_limit_bytes = dead_letter_limit_bytes
        self._database_id = database_id
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
        offsets = next_offsets(batch.ranges, self._database_id)
        self._producer.publish(
            applied.records, applied.destinations, applied.values, others, offsets, batch.group_metadata
        )

    def _dead_letter(self, record: Message, why: Refused) -> OutgoingMessage:
        (topic, kafka_partition), offset = coordinates(record)
        _, timestamp_ms = record.timestamp()
        source = [
            ("topic", topic),
            ("partition", kafka_partition),
            ("offset", offset),
            ("timestamp", timestamp_ms),
            ("group", self._group_id),
        ]
        key, value = record.key(), record.value()
        headers: Any = record.headers()
        headers = dead_letter_headers(headers, why, source)
        taken = len(key or b"") + sum(len(name) + len(text or b"") + 10 for name, text in headers)
        room = max(0, self._dead_letter_limit_bytes - taken - _ENVELOPE_BYTES)
        if value is not None and len(value) > room:
            headers.append(truncated_header(len(value)))
            value = value[:room]
        return OutgoingMessage(self._dead_letter_topic, key, value, headers)
