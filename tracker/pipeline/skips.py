"""What a worker does about records that it cannot receive: name them, and step over those it is told to."""

import threading
import time
from contextlib import suppress

import psycopg

from tracker.errors import TrackerError
from tracker.kafka.batch import Batch
from tracker.kafka.consumer import BatchConsumer
from tracker.kafka.unreceivable import Stuck, why_unreceivable
from tracker.kafka_partition import KafkaPartition
from tracker.messages.skipped_records import SkippedRecords
from tracker.metrics import UNRECEIVABLE, Recorder
from tracker.obstacles import Cause, Obstacle, Obstacles
from tracker.settings import Settings
from tracker.store.skip_store import read_skips

_EVERY_S = 3.0
_TRY_AGAIN_EVERY_S = 60.0


class SkipWatch:
    """Looks after Kafka partitions that are stuck. For the thread that polls; costs nothing while none is.

    The database, and brokers, are asked on a thread of its own, so that the others are polled meanwhile.
    """

    def __init__(
        self, settings: Settings, consumer: BatchConsumer, obstacles: Obstacles, recorder: Recorder
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._obstacles = obstacles
        self._recorder = recorder
        self._told: set[KafkaPartition] = set()
        self._skips: list[SkippedRecords] = []
        self._probed: dict[KafkaPartition, Stuck] = {}
        self._passable: dict[KafkaPartition, Stuck] = {}
        self._thread: threading.Thread | None = None
        self._next_monotonic_s = 0.0
        self._try_again_monotonic_s = 0.0

    def look(self) -> Batch | None:
        """Name what is stuck; return a batch that steps over it, where somebody has asked for that."""
        unreceivable = self._consumer.unreceivable
        if not (unreceivable.stuck or self._told or self._skips or unreceivable.is_suspected):
            return None
        for key, stuck in self._take_probed().items():
            self._consumer.pause_stuck(key, stuck)
        for key, stuck in self._take_passable().items():
            self._consumer.retry_stuck(key, stuck)
        self._tell(unreceivable.stuck)
        self._ask()
        for skip in self._skips:
            stuck_at = unreceivable.stuck.get((skip.topic, skip.kafka_partition))
            if stuck_at and skip.first_offset <= stuck_at.offset < skip.next_offset:
                return self._consumer.step_over(skip._replace(first_offset=stuck_at.offset))
        return None

    def _tell(self, found: dict[KafkaPartition, Stuck]) -> None:
        self._obstacles.observe("records", [_obstacle(key, stuck) for key, stuck in sorted(found.items())])
        for topic, kafka_partition in self._told - found.keys():
            self._recorder.remove(UNRECEIVABLE, topic=topic, kafka_partition=str(kafka_partition))
        for topic, kafka_partition in found:
            self._recorder.set(UNRECEIVABLE, 1, topic=topic, kafka_partition=str(kafka_partition))
        if found.keys() - self._told:
            self._try_again_monotonic_s = time.monotonic() + _TRY_AGAIN_EVERY_S
        self._told = set(found)

    def _ask(self) -> None:
        now = time.monotonic()
        if now < self._next_monotonic_s or (self._thread is not None and self._thread.is_alive()):
            return
        self._next_monotonic_s = now + _EVERY_S
        unreceivable = self._consumer.unreceivable
        positions = self._consumer.positions() if unreceivable.is_suspected else {}
        suspects = {key: offset for key, offset in positions.items() if key not in unreceivable.stuck}
        known: dict[KafkaPartition, Stuck] = {}
        if unreceivable.stuck and now >= self._try_again_monotonic_s:
            self._try_again_monotonic_s = now + _TRY_AGAIN_EVERY_S
            known = dict(unreceivable.stuck)
        self._thread = threading.Thread(
            target=self._find_out, args=[suspects, known], name="skips", daemon=True
        )
        self._thread.start()

    def _find_out(self, suspects: dict[KafkaPartition, int], known: dict[KafkaPartition, Stuck]) -> None:
        with suppress(psycopg.Error, TrackerError):  # the thread that applies batches says so
            self._skips = read_skips(self._settings.database_conninfo())
        for key, offset in suspects.items():
            reason = why_unreceivable(self._settings, key, offset)
            if reason:
                self._probed = {**self._probed, key: Stuck(offset, reason)}
        # What is not fetched cannot show that it has become receivable, or that retention has removed it.
        for key, stuck in known.items():
            if not why_unreceivable(self._settings, key, stuck.offset):
                self._passable = {**self._passable, key: stuck}

    def _take_probed(self) -> dict[KafkaPartition, Stuck]:
        probed, self._probed = self._probed, {}
        return probed

    def _take_passable(self) -> dict[KafkaPartition, Stuck]:
        passable, self._passable = self._passable, {}
        return passable


def _obstacle(key: KafkaPartition, stuck: Stuck) -> Obstacle:
    topic, kafka_partition = key
    return Obstacle(
        Cause.RECORD,
        f"offset {stuck.offset} of Kafka partition {kafka_partition} of topic {topic!r} cannot be received:"
        f" {stuck.reason}; 'tracker adopt --skip {topic}:{kafka_partition}:{stuck.offset}' steps over it",
        blocks=False,
    )
