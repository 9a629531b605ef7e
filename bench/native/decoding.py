"""Decodes a batch with the compiled step, and decodes in Python what the step leaves."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Protocol

from tracker.identifiers import JobName, Step
from tracker.messages.dead_letter import UNREADABLE_HEADERS
from tracker.messages.decode import DecodedBatch, Record, Rules, _Decoder
from tracker.messages.job_work import Siblings
from tracker.messages.refusal import RecordRefused
from tracker.messages.run_marker import NO_MARKER, marked_status_url

_Parent = tuple[str, int, str, str, str, list[tuple[str, int, bool]]]
"""The text of the parent, the run, partition ID, job ID and path, and the steps of the path."""

_Group = tuple[_Parent, list[str], list[int], list[int], int, list[str], list[int]]
"""The parent; texts, positions and indexes of completed children, and the highest that is marked as the last;
texts and positions of children that continue."""

_Decoded = tuple[list[str | None], list[bytes | None], list[int], int, list[_Group]]


class CompiledStep(Protocol):
    """The step: `decode` in ``src/lib.rs``."""

    def __call__(
        self,
        records: list[Record],
        max_message_bytes: int,
        unreadable_headers: object,
        allows: Callable[[str, Record], bool],
        /,
    ) -> _Decoded:
        """Return destinations, values, positions that are left, the number of untracked, and groups."""


class CompiledDecoder(_Decoder):
    """Makes the same of a batch as `decode_batch`. `left` is how many records Python has decoded."""

    def __init__(self, step: CompiledStep, rules: Rules, now_ms: int) -> None:
        super().__init__(rules, now_ms, 0)
        self.left = 0
        self._step = step

    def decode(self, records: Sequence[Record]) -> DecodedBatch:
        result = self.decoded
        result.destinations, result.values, left, result.untracked, groups = self._step(
            list(records), self.rules.max_message_bytes, UNREADABLE_HEADERS, self._allows
        )
        self.left = len(left)
        self.groups = [_siblings(group) for group in groups]
        if left:
            self._decode_left(records, left, groups)
        else:
            for siblings in self.groups:
                self._add_finished(siblings)
        return result

    def _allows(self, topic: str, record: Record) -> bool:
        try:
            return not self._is_event(topic, record)
        except RecordRefused:
            return False

    def _decode_left(self, records: Sequence[Record], left: list[int], groups: list[_Group]) -> None:
        """Decode the records that are left, and put each where it would be if nothing had been compiled."""
        result = self.decoded
        for ((parent_text, run, *_), *_), siblings in zip(groups, self.groups, strict=True):
            siblings.status_check_url = _url_of(run)
            self.siblings[parent_text] = siblings
            self.siblings_of_run[parent_text, run] = siblings
        sizes = {id(siblings): _size(siblings) for siblings in self.groups}
        for position in left:
            try:
                self._classify(position, records[position])
            except RecordRefused as refused:
                result.refused.append((position, refused.refusal))
        changed = {id(siblings) for siblings in self.groups if sizes.get(id(siblings)) != _size(siblings)}
        for siblings in self.groups:
            if id(siblings) in changed:
                _sort(siblings)
        for siblings in sorted(self.groups, key=_first_position):
            if id(siblings) in changed:
                self._parse_group(siblings)
            if siblings.completed or siblings.open_positions:
                self._add_finished(siblings)
        result.refused.sort(key=itemgetter(0))

    def _parse_group(self, siblings: Siblings) -> None:
        self._parse_indexes(siblings.open_texts, siblings.open_positions)
        parsed = self._parse_indexes(siblings.completed_texts, siblings.completed_positions)
        if parsed is not None:
            siblings.completed, siblings.last = parsed

    def _add_finished(self, siblings: Siblings) -> None:
        work = self.decoded.work_of_run(siblings.job, siblings.run)
        work.siblings.append(siblings)
        work.open_positions += siblings.open_positions
        work.ending_positions += siblings.completed_positions


def _siblings(group: _Group) -> Siblings:
    siblings = Siblings.__new__(Siblings)  # `__init__` would make lists that are replaced at once
    siblings.status_check_url = None
    (
        (_, siblings.run, partition_id, job_id, siblings.path, steps),
        siblings.completed_texts,
        siblings.completed_positions,
        siblings.completed,
        siblings.last,
        siblings.open_texts,
        siblings.open_positions,
    ) = group
    siblings.job = JobName(partition_id, job_id)
    siblings.steps = tuple([Step(*step) for step in steps]) if steps else ()
    return siblings


def _url_of(run: int) -> str | None:
    """Return a `statusCheckUrl` of a run: what comes after it has the same run, or another URL."""
    if run == NO_MARKER:
        return None
    return marked_status_url("", run) if run > 0 else "/status?run=0"


def _size(siblings: Siblings) -> int:
    return len(siblings.completed_positions) + len(siblings.open_positions)


def _first_position(siblings: Siblings) -> int:
    return min(siblings.completed_positions[:1] + siblings.open_positions[:1])


def _sort(siblings: Siblings) -> None:
    for texts, positions in (
        (siblings.completed_texts, siblings.completed_positions),
        (siblings.open_texts, siblings.open_positions),
    ):
        ordered = sorted(zip(positions, texts, strict=True))
        positions[:] = [position for position, _ in ordered]
        texts[:] = [text for _, text in ordered]
