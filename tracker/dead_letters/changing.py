"""Changes dead letters, each once, whatever is interrupted, and however many commands run at once.

One Kafka transaction sends what a change sends, and the new states. A group has one transactional ID: the
command that connects last ends those before it. It reads the states to their end only after that, so it knows
all that they have sent, and they can send nothing more.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

from tracker.dead_letters.reading import FoundLetter, LetterReader
from tracker.dead_letters.replaying import Change, LetterRefused
from tracker.dead_letters.selection import Selection
from tracker.dead_letters.state import LetterState, LetterStates
from tracker.kafka.bulk_sender import BulkMessage, BulkSender
from tracker.kafka.errors import MessagesRefused
from tracker.kafka.explain import explain
from tracker.kafka_partition import RecordName
from tracker.settings import Settings

_LETTERS = 500  # in one transaction
_BYTES = 16 << 20


@dataclass
class Skipped:
    """Dead letters that stay as they are, all for one reason."""

    first: RecordName
    count: int = 0
    is_wanted: bool = False


@dataclass
class ChangeCounts:
    """How many dead letters were changed until now."""

    matched: int
    changed: int = 0
    skipped: dict[str, Skipped] = field(default_factory=dict)  # by reason, a clause

    @property
    def done(self) -> int:
        """How many need no more work."""
        return self.changed + sum(each.count for each in self.skipped.values())

    def skip(self, name: RecordName, refused: LetterRefused) -> None:
        """Count a dead letter that stays as it is."""
        skipped = self.skipped.setdefault(refused.why, Skipped(name, is_wanted=refused.is_wanted))
        skipped.count += 1


class _Step(NamedTuple):
    found: FoundLetter
    messages: list[BulkMessage]


class LetterChanger:
    """Changes the dead letters of a selection. `counts` says what was done until now."""

    def __init__(self, reader: LetterReader, selection: Selection, change: Change) -> None:
        self._reader = reader
        self._selection = selection
        self._change = change
        self._states = LetterStates()
        self._one_by_one = False
        self.counts = ChangeCounts(len(selection))

    def look(self) -> Iterator[None]:
        """Count what `run` would change. It sends nothing, and yields now and then."""
        self._states = self._reader.read_states(self._selection.bounds())
        for steps in self._steps():
            self.counts.changed += len(steps)
            yield

    def run(self, settings: Settings) -> Iterator[None]:
        """Change the dead letters; yield after each transaction, when it is safe to stop.

        :raises TrackerError: Kafka does not answer, or refuses, or a later command took this one's place.
        """
        self._reader.require_state_topic()
        # Its own name: workers have the instance and the slot in theirs.
        with closing(BulkSender(settings, f"{settings.group_id}-dead-letters")) as sender:
            self._connect(sender)
            for steps in self._steps():
                self._send(sender, steps)
                yield

    def _connect(self, sender: BulkSender) -> None:
        sender.connect(one_by_one=self._one_by_one)
        self._states = self._reader.read_states(self._selection.bounds())

    def _steps(self) -> Iterator[list[_Step]]:
        """Yield what one transaction is to send, at a time."""
        steps: list[_Step] = []
        size_bytes = 0
        for name, found in self._reader.read(self._selection):
            step = self._step(name, found)
            if step is not None:
                steps.append(step)
                size_bytes += sum(len(message.value or b"") for message in step.messages)
            if len(steps) == _LETTERS or size_bytes > _BYTES:
                yield steps
                steps, size_bytes = [], 0
        yield steps

    def _step(self, name: RecordName, found: FoundLetter | None) -> _Step | None:
        """Return what changes a dead letter; None: it stays as it is, and is counted."""
        try:
            if found is None:
                raise LetterRefused("there is no such record")
            self._require_open(name)
            return _Step(found, self._change(found))
        except LetterRefused as refused:
            self.counts.skip(name, refused)
            return None

    def _require_open(self, name: RecordName) -> None:
        state = self._states.of(name.kafka_partition, name.offset)
        if state is not LetterState.OPEN:
            raise LetterRefused(f"it was {state} before", is_wanted=True)

    def _send(self, sender: BulkSender, steps: list[_Step]) -> None:
        while steps:
            sent = [(step, message) for step in steps for message in step.messages]
            try:
                sender.send([message for _, message in sent])
                self.counts.changed += len(steps)
                return
            except MessagesRefused as refused:
                errors = [(*sent[at], error) for at, error in refused.errors.items()]
            if self._one_by_one:
                why = {
                    step.found.letter.record: f"{message.topic!r} does not take it: {explain(error)}"
                    for step, message, error in errors
                }
                for name, reason in why.items():
                    self.counts.skip(name, LetterRefused(reason))
                steps = [step for step in steps if step.found.letter.record not in why]
            # Another command may have begun and sent meanwhile, and this connection ends it.
            self._one_by_one = True
            self._connect(sender)
            steps = self._still_open(steps)

    def _still_open(self, steps: list[_Step]) -> list[_Step]:
        still_open = []
        for step in steps:
            name = step.found.letter.record
            try:
                self._require_open(name)
                still_open.append(step)
            except LetterRefused as refused:
                self.counts.skip(name, refused)
        return still_open
