"""What a worker does about records that it cannot receive: it names them, and skips them on request."""

import threading
import time
from contextlib import suppress

import psycopg

from tracker.errors import TrackerError
from tracker.kafka.batch import Batch
from tracker.kafka.consumer import BatchConsumer
from tracker.kafka.unreceivable import Stuck, why_unreceivable
from tracker.kafka_partition import KafkaPartition, describe
from tracker.messages.skipped_records import SkippedRecords
from tracker.metrics import UNRECEIVABLE, Recorder
from tracker.obstacles import Cause, Obstacle, Obstacles
from tracker.settings import Settings
from tracker.store.skip_store import read_skips

_EVERY_S = 3.0
_TRY_AGAIN_EVERY_S = 60.0


class SkipWatch:
    """Watches Kafka partitions that are stuck. For the thread that polls; costs nothing while none is.

    It asks the database and the brokers on a thread of its own, so that the others are polled meanwhile.
    """

    def __init__(
        self, settings: Settings, consumer: BatchConsumer, obstacles: Obstacles, recorder: Recorder
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._obstacles = obstacles
        self._recorder = recorder
        self._reported: set[KafkaPartition] = set()
        self._skips: list[SkippedRecords] = []
        self._probed: dict[KafkaPartition, tuple[Stuck, str]] = {}  # what was asked, and the reason now
        self._thread: threading.Thread | None = None
        self._next_monotonic_s = 0.0
        self._try_again_monotonic_s = 0.0

    def poll(self) -> Batch | None:
        """Report what is stuck; return a batch that skips it, if this was requested."""
        unreceivable = self._consumer.unreceivable
        if not (unreceivable.stuck or self._reported or self._skips or unreceivable.is_suspected):
            return None
        probed, self._probed = self._probed, {}
        for key, (asked, reason) in probed.items():
            if reason and not asked.reason:
                self._consumer.pause_stuck(key, asked._replace(reason=reason))
            elif asked.reason and not reason:
                self._consumer.retry_stuck(key, asked)
        self._report(unreceivable.stuck)
        self._start_probe()
        for skip in self._skips:
            stuck_at = unreceivable.stuck.get((skip.topic, skip.kafka_partition))
            if stuck_at and skip.first_offset <= stuck_at.offset < skip.next_offset:
                return self._consumer.skip(skip._replace(first_offset=stuck_at.offset))
        return None

    def _report(self, stuck: dict[KafkaPartition, Stuck]) -> None:
        self._obstacles.observe("records", [_obstacle(*each) for each in sorted(stuck.items())])
        for topic, kafka_partition in self._reported - stuck.keys():
            self._recorder.remove(UNRECEIVABLE, topic=topic, kafka_partition=str(kafka_partition))
        for topic, kafka_partition in stuck:
            self._recorder.set(UNRECEIVABLE, 1, topic=topic, kafka_partition=str(kafka_partition))
        if stuck.keys() - self._reported:
            self._try_again_monotonic_s = time.monotonic() + _TRY_AGAIN_EVERY_S
        self._reported = set(stuck)

    def _start_probe(self) -> None:
        now = time.monotonic()
        if now < self._next_monotonic_s or (self._thread is not None and self._thread.is_alive()):
            return
        self._next_monotonic_s = now + _EVERY_S
        unreceivable = self._consumer.unreceivable
        positions = self._consumer.positions() if unreceivable.is_suspected else {}
        asked = {key: Stuck(at, "") for key, at in positions.items() if key not in unreceivable.stuck}
        # A Kafka partition that is not fetched cannot show that its record can now be received, or is gone.
        if unreceivable.stuck and now >= self._try_again_monotonic_s:
            self._try_again_monotonic_s = now + _TRY_AGAIN_EVERY_S
            asked |= unreceivable.stuck
        self._thread = threading.Thread(target=self._probe, args=[asked], name="skips", daemon=True)
        self._thread.start()

    def _probe(self, asked: dict[KafkaPartition, Stuck]) -> None:
        with suppress(psycopg.Error, TrackerError):  # the thread that applies batches reports it
            self._skips = read_skips(self._settings.database_conninfo())
        for key, stuck in asked.items():
            reason = why_unreceivable(self._settings, key, stuck.offset)
            self._probed = {**self._probed, key: (stuck, reason)}


def _obstacle(key: KafkaPartition, stuck: Stuck) -> Obstacle:
    topic, kafka_partition = key
    return Obstacle(
        Cause.RECORD,
        f"offset {stuck.offset} of {describe(key)} cannot be received:"
        f" {stuck.reason}; 'tracker adopt --skip {topic}:{kafka_partition}:{stuck.offset}' skips it",
        blocks=False,
    )
