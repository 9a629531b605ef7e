"""Creates the topics that dead letters lack, and replays these, as a user would do."""

import threading
from collections.abc import Callable
from contextlib import closing, suppress
from queue import SimpleQueue
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException

from tests.support.deployment import Deployment
from tracker.dead_letters import LetterChanger, LetterFilter, LetterReader, Replay, Selection
from tracker.errors import TrackerError
from tracker.identifiers import JobName
from tracker.messages.refusal import Reason

_MAX_REFUSALS = 1_000
_SCANNED = 10_000  # records
_ARRIVES_S = 1.0  # a replayed message; a worker knows for 2 s that a topic is missing


class _Wanted(NamedTuple):
    topic: str
    job: JobName
    number: int  # of the record


class Replayer:
    """Replays dead letters on threads: each with two commands at once, and then once more.

    Only the first may send anything. If a worker still takes the topic for missing, there is another dead
    letter, and it is replayed too. `on_created` is called for each new topic; `arrived` returns whether the
    record with this number is at its destination. `on_failure` gets a sentence for each unexpected error.
    """

    def __init__(
        self,
        deployment: Deployment,
        on_created: Callable[[str], None],
        arrived: Callable[[int], bool],
        on_failure: Callable[[str], None],
    ) -> None:
        self._settings, self._kafka = deployment.settings, deployment.kafka
        self._on_created, self.arrived, self._on_failure = on_created, arrived, on_failure
        self._wanted: SimpleQueue[_Wanted | None] = SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replayer", daemon=True)
        self._thread.start()

    def ask(self, topic: str, job: tuple[str, str], number: int) -> None:
        """Request to create a topic, and to replay the dead letter of a job's record that lacks it."""
        self._wanted.put(_Wanted(topic, JobName(*job), number))

    def close(self) -> None:
        self._closing.set()
        self._wanted.put(None)
        self._thread.join(30)

    def _run(self) -> None:
        while (wanted := self._wanted.get()) is not None:
            try:
                self._create(wanted.topic)
                while not (self.arrived(wanted.number) or self._closing.is_set()):
                    self._replay(wanted)
            except Exception as error:  # noqa: BLE001 - the round reports it
                self._on_failure(f"a replay failed: {type(error).__name__}: {error}")

    def _create(self, topic: str) -> None:
        while not self._closing.is_set():
            try:
                self._kafka.create({topic: 1})
                break
            except KafkaException as error:
                if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                    break  # an earlier try, whose outcome was unknown, has created it
                self._closing.wait(0.1)
        self._on_created(topic)

    def _replay(self, wanted: _Wanted) -> None:
        """Have two users replay the dead letters of the job's record that are open now, and one once more."""
        both_have_selected = threading.Barrier(2)
        other = threading.Thread(target=self._guarded, args=[wanted, both_have_selected], name="replay")
        other.start()
        selection = self._guarded(wanted, both_have_selected)
        other.join()
        for _ in range(10):
            if self.arrived(wanted.number) or self._closing.wait(_ARRIVES_S / 10):
                break
        if selection is not None and len(selection):
            with suppress(TrackerError), closing(LetterReader(self._settings)) as reader:
                self._change(reader, selection)

    def _guarded(self, wanted: _Wanted, both_have_selected: threading.Barrier) -> Selection | None:
        """Replay, and return what; None: it failed, or another command took this one's place."""
        try:
            with closing(LetterReader(self._settings)) as reader:
                lacks_topic = LetterFilter(
                    reasons=frozenset({Reason.DESTINATION_UNKNOWN}), jobs=frozenset({wanted.job})
                )
                selection = Selection(letter.record for letter in reader.scan(lacks_topic, _SCANNED))
                both_have_selected.wait(10)
                if len(selection):
                    self._change(reader, selection)
                return selection
        except (TrackerError, threading.BrokenBarrierError):
            both_have_selected.abort()
            return None

    def _change(self, reader: LetterReader, selection: Selection) -> None:
        replay = Replay(_MAX_REFUSALS, reader.access_to, reader.kafka_partitions)
        for _ in LetterChanger(reader, selection, replay).run(self._settings):
            pass
