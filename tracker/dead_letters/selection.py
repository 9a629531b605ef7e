"""Names of dead letters that are to be changed, a few bytes each: there may be a million."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tracker.kafka_partition import RecordName

_MAX_GAP = 5_000  # offsets; to read what lies between is faster than to begin again


class Run(NamedTuple):
    """Offsets of one Kafka partition that are near each other, in their order."""

    kafka_partition: int
    offsets: list[int]


class Selection:
    """Which dead letters are to be changed."""

    def __init__(self, names: Iterable[RecordName] = ()) -> None:
        self._offsets: dict[int, array[int]] = {}
        for name in dict.fromkeys(names):
            self.add(name)

    def __len__(self) -> int:
        return sum(map(len, self._offsets.values()))

    def add(self, name: RecordName) -> None:
        """Add a dead letter that was not added before."""
        self._offsets.setdefault(name.kafka_partition, array("q")).append(name.offset)

    def bounds(self) -> Mapping[int, tuple[int, int]]:
        """Return the lowest offset of each Kafka partition, and that after the highest."""
        return {number: (min(offsets), max(offsets) + 1) for number, offsets in self._offsets.items()}

    def runs(self) -> Iterator[Run]:
        """Yield all names, those of a Kafka partition from the oldest to the newest."""
        for number, offsets in sorted(self._offsets.items()):
            run: list[int] = []
            for offset in sorted(offsets):
                if run and offset - run[-1] > _MAX_GAP:
                    yield Run(number, run)
                    run = []
                run.append(offset)
            if run:
                yield Run(number, run)
