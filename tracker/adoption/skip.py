"""Has workers skip records that cannot be received."""

from contextlib import closing

from tracker.errors import TrackerError
from tracker.kafka.committed import CommittedOffsets
from tracker.kafka.explain import kafka_errors
from tracker.kafka.inspection import connect_admin, kafka_partition_counts
from tracker.kafka.unreceivable import find_unreceivable
from tracker.kafka_partition import describe
from tracker.logs import kafka_logger
from tracker.messages.skipped_records import SkippedRecords
from tracker.settings import Settings
from tracker.store.skip_store import request_skip


def plan_skip(settings: Settings, topic: str, kafka_partition: int, offset: int) -> SkippedRecords:
    """Return the records from an offset on that cannot be received.

    :raises TrackerError: the record at the offset can be received, or was passed; or Kafka does not answer.
    """
    where = describe((topic, kafka_partition))
    if topic not in settings.topics:
        raise TrackerError(f"{topic!r} is not one of TRACKER_TOPICS ({', '.join(settings.topics)})")
    with kafka_errors():
        count = kafka_partition_counts(connect_admin(settings, kafka_logger())).get(topic, 0)
        if kafka_partition >= count:
            raise TrackerError(f"there is no {where}")
        with closing(CommittedOffsets(settings, settings.group_id)) as group:
            committed = group.read([(topic, kafka_partition)]).get((topic, kafka_partition), 0)
        if offset < committed:
            raise TrackerError(f"{where}: offset {offset} has been passed, the group is at {committed}")
        found = find_unreceivable(settings, (topic, kafka_partition), offset)
    if found is None:
        raise TrackerError(f"{where}: the record at offset {offset} can be received, and is not skipped")
    return SkippedRecords(topic, kafka_partition, found.first_offset, found.next_offset, found.reason)


def store_skip(settings: Settings, skip: SkippedRecords) -> None:
    """Have the worker of the Kafka partition skip what was found.

    :raises TrackerError: the database cannot be reached, or its schema does not match this program.
    """
    request_skip(settings.database_conninfo(), skip)
