"""Finds dead letters: the newest first, or one by its name."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tracker.dead_letters.letter import DeadLetter, LetterFilter, make_letter
from tracker.dead_letters.selection import Selection
from tracker.dead_letters.state import LetterState, LetterStates, read_states, state_topic
from tracker.errors import InvalidQuery, SettingsError, TrackerError
from tracker.kafka.explain import kafka_errors
from tracker.kafka.inspection import inspect_cluster, kafka_partition_counts
from tracker.kafka.record_reader import RecordReader, StoredRecord
from tracker.kafka.topic_creation import require_compacted_topic
from tracker.kafka.topics import Access, write_access
from tracker.kafka_partition import KafkaPartition, RecordName, describe
from tracker.settings import Settings

_HELD = 8_192  # records of all Kafka partitions together, without their values


class FoundLetter(NamedTuple):
    """A record of the dead-letter topic, whole."""

    letter: DeadLetter
    record: StoredRecord


class _Seen(NamedTuple):
    """What is kept of a record until it is its turn."""

    timestamp_ms: int | None
    is_foreign: bool
    letter: DeadLetter | None  # None: it is not asked for


class LetterScan:
    """Iterates over dead letters, newest first; its numbers say how far it has looked until now.

    Within a Kafka partition the order is that of the offsets. Between Kafka partitions it is that of the
    times.
    """

    def __init__(self, seen: Iterator[_Seen], scan_limit: int) -> None:
        self._seen = seen
        self._scan_limit = scan_limit
        self.looked_at = 0  # records
        self.foreign = 0  # of these, records that the tracker has not written
        self.oldest_ms: int | None = None  # the time of the oldest that has one
        self.is_complete = False  # it has looked at all that there are

    def __iter__(self) -> Iterator[DeadLetter]:
        """Yield the dead letters that are asked for.

        :raises TrackerError: Kafka does not answer, or refuses.
        """
        with kafka_errors():
            for seen in self._seen:
                if self.looked_at == self._scan_limit:
                    return
                self._count(seen)
                if seen.letter is not None:
                    yield seen.letter
            self.is_complete = True

    def _count(self, seen: _Seen) -> None:
        self.looked_at += 1
        self.foreign += seen.is_foreign
        if seen.timestamp_ms is not None:
            known_ms = self.oldest_ms
            self.oldest_ms = seen.timestamp_ms if known_ms is None else min(known_ms, seen.timestamp_ms)


class LetterReader:
    """Reads the dead-letter topic of a deployment, and the states beside it. It writes no record.

    :raises SettingsError: there is no dead-letter topic.
    :raises TrackerError: Kafka does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self.topic = settings.dead_letter_topic
        self._settings = settings
        self._admin, metadata = inspect_cluster(settings)
        self._counts = {
            name: len(topic.partitions) for name, topic in metadata.topics.items() if topic.error is None
        }
        if self.topic not in self._counts:
            raise SettingsError(
                f"TRACKER_DEAD_LETTER_TOPIC is {self.topic!r}: there is no such topic; `tracker topics"
                " --create` creates it."
            )
        with kafka_errors():
            self._reader = RecordReader(settings)
        self._state_reader: RecordReader | None = None

    @property
    def kafka_partitions(self) -> Mapping[str, int]:
        """How many Kafka partitions each topic has."""
        return self._counts

    def access_to(self, topic: str) -> Access:
        """Return whether a topic is there, and may be written to.

        :raises TrackerError: Kafka does not answer.
        """
        with kafka_errors():
            return write_access(self._admin, topic)

    def require_state_topic(self) -> None:
        """Create the topic of states, unless it is there.

        :raises TrackerError: it cannot be created, is not fit for states, or may not be written to.
        """
        topic = state_topic(self.topic)
        require_compacted_topic(self._admin, topic)
        self._counts = kafka_partition_counts(self._admin)
        if topic not in self._counts:
            raise TrackerError(f"Kafka does not show the topic {topic!r}, which says what was replayed")

    def has_topic(self, topic: str) -> bool:
        """Return whether Kafka has a topic of that name."""
        return topic in self._counts

    def require_topic_of(self, name: RecordName) -> None:
        """Refuse the name of a record that is in another topic.

        :raises InvalidQuery: it is.
        """
        if name.topic != self.topic:
            raise InvalidQuery(f"{name.topic!r} is not the dead-letter topic, which is {self.topic!r}")

    def scan(self, wanted: LetterFilter, scan_limit: int) -> LetterScan:
        """Return what looks for dead letters among the newest `scan_limit` records.

        Read one scan to its end, or leave it, before you begin the next.

        :raises TrackerError: Kafka does not answer, or refuses.
        """
        with kafka_errors():
            bounds = {
                number: self._reader.bounds((self.topic, number), wanted.since_ms)
                for number in range(self._counts[self.topic])
            }
            states = self._read_states(bounds)
        return LetterScan(self._newest_first(wanted, bounds, states, scan_limit), scan_limit)

    def find(self, name: RecordName) -> FoundLetter:
        """Return a record of the dead-letter topic.

        :raises InvalidQuery: the name is of another topic.
        :raises TrackerError: there is no such record; or Kafka does not answer, or refuses.
        """
        self.require_topic_of(name)
        if name.kafka_partition >= self._counts[self.topic]:
            raise TrackerError(f"there is no {describe(name[:2])}")
        with kafka_errors():
            first, end = self._reader.bounds(name[:2])
            found = next(self._reader.read(name[:2], name.offset, min(name.offset + 1, end)), None)
            if found is None:
                raise TrackerError(
                    f"no such record: {name}; {describe(name[:2])} has offsets from {first} to before {end},"
                    " and some may be of aborted or open transactions"
                )
            states = self._read_states({name.kafka_partition: (name.offset, name.offset + 1)})
        state = states.of(name.kafka_partition, name.offset)
        return FoundLetter(make_letter(self.topic, found, state), found)

    def read(self, selection: Selection) -> Iterator[tuple[RecordName, FoundLetter | None]]:
        """Yield the dead letters of a selection; None: there is no such record. Their states are not read.

        :raises TrackerError: Kafka does not answer, or refuses.
        """
        with kafka_errors():
            for number, offsets in selection.runs():
                names = iter([RecordName(self.topic, number, offset) for offset in offsets])
                for record in self._read_run(number, offsets):
                    for name in names:
                        if name.offset == record.offset:
                            letter = make_letter(self.topic, record, LetterState.OPEN)
                            yield name, FoundLetter(letter, record)
                            break
                        yield name, None
                for name in names:
                    yield name, None

    def _read_run(self, number: int, offsets: Sequence[int]) -> Iterator[StoredRecord]:
        """Yield the records with these offsets, which grow, as far as they are there."""
        if number >= self._counts[self.topic]:
            return
        wanted = set(offsets)
        first, end = self._reader.bounds((self.topic, number))
        for record in self._reader.read(
            (self.topic, number), max(first, offsets[0]), min(end, offsets[-1] + 1)
        ):
            if record.offset in wanted:
                yield record

    def read_states(self, wanted: Mapping[int, tuple[int, int]]) -> LetterStates:
        """Return the states of the dead letters with these offsets. A `read` may be in progress.

        :raises TrackerError: Kafka does not answer, or refuses.
        """
        with kafka_errors():
            if self._state_reader is None:
                self._state_reader = RecordReader(self._settings)
            return self._read_states(wanted, self._state_reader)

    def close(self) -> None:
        """Disconnect."""
        self._reader.close()
        if self._state_reader is not None:
            self._state_reader.close()

    def _read_states(
        self, wanted: Mapping[int, tuple[int, int]], reader: RecordReader | None = None
    ) -> LetterStates:
        topic = state_topic(self.topic)
        keys: list[KafkaPartition] = [(topic, number) for number in range(self._counts.get(topic, 0))]
        return read_states((reader or self._reader).read_all(keys), self.topic, wanted)

    def _newest_first(
        self,
        wanted: LetterFilter,
        bounds: Mapping[int, tuple[int, int]],
        states: LetterStates,
        scan_limit: int,
    ) -> Iterator[_Seen]:
        def keep(record: StoredRecord) -> _Seen:
            letter = make_letter(self.topic, record, states.of(record.kafka_partition, record.offset))
            accepted = letter if wanted.accepts(letter) else None
            return _Seen(record.timestamp_ms, letter.refusal is None, accepted)

        at_a_time = max(1, min(scan_limit, _HELD // len(bounds)))
        streams = [
            self._reader.read_backwards((self.topic, number), first, end, keep, at_a_time)
            for number, (first, end) in bounds.items()
        ]
        return heapq.merge(*streams, key=_time_of, reverse=True)


def _time_of(seen: _Seen) -> int:
    return -1 if seen.timestamp_ms is None else seen.timestamp_ms
