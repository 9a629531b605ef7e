"""What has been done with dead letters: a compacted topic beside theirs says it.

Its keys are names of dead letters. A dead letter that it does not name is open.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from tracker.kafka.record_reader import StoredRecord
from tracker.kafka_partition import RecordName, read_record_name

_BLOCK = 4_096  # offsets


class LetterState(StrEnum):
    """What has been done with a dead letter; but for `open`, a value in the topic of states."""

    OPEN = "open"
    REPLAYED = "replayed"
    DROPPED = "dropped"


_STATES = tuple(LetterState)
_BY_VALUE = {state.value.encode(): number for number, state in enumerate(_STATES) if number}


def state_topic(dead_letter_topic: str) -> str:
    """Return the name of the topic of states."""
    return f"{dead_letter_topic}.state"


class LetterStates:
    """The states of dead letters: a byte for each offset, in blocks that have one that is not open."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[int, int], bytearray] = {}

    def set(self, record: RecordName, value: bytes | None) -> None:
        """Set the state of a dead letter to what the topic of states says; what is unknown counts as open."""
        block, index = divmod(record.offset, _BLOCK)
        key = record.kafka_partition, block
        number = _BY_VALUE.get(value or b"", 0)
        if number or key in self._blocks:
            self._blocks.setdefault(key, bytearray(_BLOCK))[index] = number

    def of(self, kafka_partition: int, offset: int) -> LetterState:
        """Return the state of a dead letter."""
        block, index = divmod(offset, _BLOCK)
        found = self._blocks.get((kafka_partition, block))
        return LetterState.OPEN if found is None else _STATES[found[index]]


def read_states(
    records: Iterable[StoredRecord], dead_letter_topic: str, wanted: Mapping[int, tuple[int, int]]
) -> LetterStates:
    """Return the states of the dead letters with these offsets (first, end), by Kafka partition.

    Others are left out: a topic of states keeps those of dead letters that are long gone.
    """
    states = LetterStates()
    for record in records:
        name = read_record_name((record.key or b"").decode("utf-8", "replace"))
        if name is not None and name.topic == dead_letter_topic:
            first, end = wanted.get(name.kafka_partition, (0, 0))
            if first <= name.offset < end:
                states.set(name, record.value)
    return states
