"""Looks at the database and at Kafka for `tracker status`; a part that cannot be asked leaves the others."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

from tracker.dead_letters import LetterFilter, LetterReader, LetterState
from tracker.diagnosis.status import NOT_ASKED, KafkaPartitionStatus, LetterCounts, Problem, Status
from tracker.errors import SchemaMismatch, TrackerError, sentence
from tracker.job_filter import HasStatus
from tracker.job_status import STATUSES
from tracker.jobs.query import count_or_estimate
from tracker.kafka.group_lag import GroupLag, read_ages, read_group_lag
from tracker.kafka_partition import KafkaPartition
from tracker.settings import Settings
from tracker.store.status_store import StatusStore, WorkerRow

_LETTERS_LOOKED_AT = 100_000
_HOUR_MS = 3_600_000


def look(settings: Settings) -> Status:
    """Return what there is. Of the problems it has only those that keep something from being asked."""
    status = Status(as_of_ms=time.time_ns() // 1_000_000)
    _ask_database(settings, status)
    _ask_kafka(settings, status)
    if status.kafka_partitions is None:
        return status  # Kafka is away, and each question would wait for it once more
    with _part(status, "The dead-letter topic"):
        status.letters = _count_letters(settings, status.as_of_ms - _HOUR_MS)
    return status


@contextmanager
def _part(status: Status, subject: str) -> Iterator[None]:
    """Note, if it fails, that this part could not be asked."""
    try:
        yield
    except TrackerError as error:
        text = f"{subject} could not be asked: {str(error).rstrip('.')}."
        status.problems.append(Problem(NOT_ASKED, text, "tracker config --check"))


def _ask_database(settings: Settings, status: Status) -> None:
    with closing(StatusStore(settings.database_conninfo)) as store:
        try:
            store.connect()
            store.check_schema()
        except SchemaMismatch as error:
            status.problems.append(Problem("schema", sentence(str(error)), "tracker migrate"))
            return
        except TrackerError as error:
            status.problems.append(Problem("database", sentence(str(error)), "tracker config --check"))
            return
        with _part(status, "What the workers do"):
            status.workers = store.workers()
        with _part(status, "Whether a scheduler is active"):
            status.scheduler_active = store.is_scheduler_active()
        with _part(status, "Which jobs are due"):
            status.oldest_due = store.oldest_due()
            status.due_was_asked = True
        with _part(status, "The size of the database"):
            status.database = store.figures()
        with _part(status, "How many jobs there are"):
            status.jobs = {
                each.value: store.answer(count_or_estimate(HasStatus((each,)))) for each in STATUSES
            }


def _ask_kafka(settings: Settings, status: Status) -> None:
    with _part(status, "Kafka"):
        lag = read_group_lag(settings)
        status.missing_topics = lag.missing
        ages = _read_ages(settings, lag, status.workers or ())
        status.kafka_partitions = _kafka_partitions(lag, ages, status.workers or ())


def _read_ages(
    settings: Settings, lag: GroupLag, workers: Sequence[WorkerRow]
) -> Mapping[KafkaPartition, float]:
    """Return the age of the oldest record that is not committed: as the member says, or from the record."""
    known = {(topic, number): age_s for worker in workers for topic, number, age_s in worker.kafka_partitions}
    unknown = {key: each.first for key, each in lag.ranges.items() if each.records and key not in known}
    return known | (read_ages(settings, unknown) if unknown else {})


def _kafka_partitions(
    lag: GroupLag, ages: Mapping[KafkaPartition, float], workers: Sequence[WorkerRow]
) -> list[KafkaPartitionStatus]:
    members = {
        (topic, number): worker.member_id
        for worker in workers
        for topic, number, _ in worker.kafka_partitions
    }
    return [
        KafkaPartitionStatus(*key, each.records, ages.get(key) if each.records else 0.0, members.get(key))
        for key, each in sorted(lag.ranges.items())
    ]


def _count_letters(settings: Settings, since_ms: int) -> LetterCounts:
    """Count the newest dead letters: those that are open, and those of a time or later, open or not."""
    with closing(LetterReader(settings)) as reader:
        scan = reader.scan(LetterFilter(any_state=True), _LETTERS_LOOKED_AT)
        is_open = late = 0
        for letter in scan:
            is_open += letter.state is LetterState.OPEN
            late += letter.timestamp_ms is not None and letter.timestamp_ms >= since_ms
        return LetterCounts(is_open, late, scan.is_complete)
