"""A dead letter, and which ones are asked for."""

from dataclasses import dataclass
from typing import Any

from tracker.dead_letters.state import LetterState
from tracker.identifiers import JobName
from tracker.kafka.record_reader import StoredRecord
from tracker.kafka_partition import RecordName
from tracker.messages.dead_letter import RefusalHeaders, Source, read_dead_letter_headers
from tracker.messages.named_task import job_in


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter without its key, value and headers, which may be large."""

    record: RecordName
    timestamp_ms: int | None  # since 1970
    refusal: RefusalHeaders | None  # None: the tracker has not written the record
    job: JobName | None
    size_bytes: int  # of the value, before it was cut
    state: LetterState

    def as_json(self) -> dict[str, Any]:
        """Return the fields that programs read."""
        refusal = self.refusal
        return {
            "topic": self.record.topic,
            "kafkaPartition": self.record.kafka_partition,
            "offset": self.record.offset,
            "timestamp": self.timestamp_ms,
            "reason": refusal and refusal.reason,
            "detail": refusal and refusal.detail,
            "job": self.job and str(self.job),
            "count": refusal and refusal.count,
            "sizeBytes": self.size_bytes,
            "source": refusal and refusal.source and _source_as_json(refusal.source),
            "state": self.state.value,
        }


def _source_as_json(source: Source) -> dict[str, Any]:
    return {
        "topic": source.topic,
        "kafkaPartition": source.partition,
        "offset": source.offset,
        "timestamp": source.timestamp if source.timestamp >= 0 else None,
    }


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which dead letters are asked for; an empty set stands for any."""

    reasons: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()  # topics
    jobs: frozenset[JobName] = frozenset()
    since_ms: int | None = None  # this time and later
    until_ms: int | None = None  # before this time
    any_state: bool = False  # not only open ones

    def accepts(self, letter: DeadLetter) -> bool:
        """Return whether a dead letter is asked for."""
        refusal = letter.refusal
        if refusal is None or not (self.any_state or letter.state is LetterState.OPEN):
            return False
        if self.reasons and refusal.reason not in self.reasons:
            return False
        if self.sources and (refusal.source is None or refusal.source.topic not in self.sources):
            return False
        if self.jobs and letter.job not in self.jobs:
            return False
        return self._accepts_time(letter.timestamp_ms)

    def _accepts_time(self, timestamp_ms: int | None) -> bool:
        """Return whether a time is asked for; one that is not known is not, if a time is asked for."""
        if timestamp_ms is None:
            return self.since_ms is None and self.until_ms is None
        return (self.since_ms is None or timestamp_ms >= self.since_ms) and (
            self.until_ms is None or timestamp_ms < self.until_ms
        )


def make_letter(topic: str, record: StoredRecord, state: LetterState) -> DeadLetter:
    """Return what a record of the dead-letter topic says."""
    refusal = read_dead_letter_headers(record.headers)
    size_bytes = len(record.value or b"")
    if refusal is not None and refusal.full_size_bytes is not None:
        size_bytes = refusal.full_size_bytes
    return DeadLetter(
        RecordName(topic, record.kafka_partition, record.offset),
        record.timestamp_ms,
        refusal,
        None if refusal is None else job_in(record.value),
        size_bytes,
        state,
    )
