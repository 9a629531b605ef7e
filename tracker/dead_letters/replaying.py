"""What is sent for a dead letter that is replayed or dropped, and which ones cannot be."""

from collections.abc import Callable, Mapping, Sequence

from tracker.dead_letters.letter import DeadLetter
from tracker.dead_letters.reading import FoundLetter
from tracker.dead_letters.state import LetterState, state_topic
from tracker.kafka.bulk_sender import ANY_PARTITION, BulkMessage
from tracker.kafka.topics import Access
from tracker.messages.dead_letter import (
    RefusalHeaders,
    Source,
    key_for_compaction,
    lost_parts,
    replayed_headers,
)
from tracker.messages.refusal import Reason


class LetterRefused(Exception):
    """A dead letter stays as it is; `is_wanted`: because it was changed before, or the user said so."""

    def __init__(self, why: str, *, is_wanted: bool = False) -> None:
        super().__init__(why)
        self.why = why  # a clause
        self.is_wanted = is_wanted


Change = Callable[[FoundLetter], list[BulkMessage]]
"""Returns what is to be sent for a dead letter that is open, or raises `LetterRefused`."""


def change_state(letter: DeadLetter, state: LetterState) -> BulkMessage:
    """Return the message that sets the state of a dead letter."""
    key, value = str(letter.record).encode(), state.value.encode()
    return BulkMessage(state_topic(letter.record.topic), ANY_PARTITION, key, value, None)


def drop(found: FoundLetter) -> list[BulkMessage]:
    """Return what drops a dead letter: a `Change`."""
    _require_ours(found.letter)
    return [change_state(found.letter, LetterState.DROPPED)]


class Replay:
    """Returns what sends dead letters back to where they were read: a `Change`.

    `access` says whether a topic is there, and may be written to; `kafka_partitions` how many each topic has.
    """

    def __init__(
        self, max_count: int, access: Callable[[str], Access], kafka_partitions: Mapping[str, int]
    ) -> None:
        self._max_count = max_count
        self._ask_access = access
        self._access: dict[str, Access] = {}
        self._kafka_partitions = kafka_partitions

    def __call__(self, found: FoundLetter) -> list[BulkMessage]:
        """Return the record as it was read, with the count of its refusals, and the dead letter's state.

        It goes back to its Kafka partition, where the other messages of its job are: producers hash keys in
        different ways.
        """
        letter, record = found
        refusal = _require_ours(letter)
        if refusal.count > self._max_count:
            raise LetterRefused(f"it was refused more than {self._max_count:,} times", is_wanted=True)
        if refusal.reason == Reason.UNRECEIVABLE:
            raise LetterRefused("it stands for records that could not be received")
        if lost := lost_parts(record.headers):
            raise LetterRefused(f"its {_listed(lost)} did not fit the dead-letter topic whole")
        source = refusal.source
        if source is None:
            raise LetterRefused("it does not say where it was read")
        self._require_topic(source, letter.record.topic)
        key = None if record.key == key_for_compaction(source) else record.key
        has_partition = source.partition < self._kafka_partitions.get(source.topic, 0)
        kafka_partition = source.partition if has_partition else ANY_PARTITION
        sent = BulkMessage(source.topic, kafka_partition, key, record.value, replayed_headers(record.headers))
        return [sent, change_state(letter, LetterState.REPLAYED)]

    def _require_topic(self, source: Source, dead_letter_topic: str) -> None:
        """Refuse a topic that is not there, or that no record of a tracking topic can come from.

        Others may write to the dead-letter topic: what they write there says where it is sent.
        """
        topic = source.topic
        if topic.startswith("__") or topic in {dead_letter_topic, state_topic(dead_letter_topic)}:
            raise LetterRefused(f"its source topic {topic!r} is no tracking topic")
        if topic not in self._access:
            self._access[topic] = self._ask_access(topic)
        if self._access[topic] is Access.NO_TOPIC:
            raise LetterRefused(f"its source topic {topic!r} does not exist")
        if self._access[topic] is Access.NO_RIGHT:
            raise LetterRefused(f"you may not write to its source topic {topic!r}")


def _require_ours(letter: DeadLetter) -> RefusalHeaders:
    if letter.refusal is None:
        raise LetterRefused("the tracker has not written this record")
    return letter.refusal


def _listed(parts: Sequence[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
