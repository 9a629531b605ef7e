"""What a worker does about topics before it begins."""

from contextlib import suppress

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tracker.kafka.topics import Access, access, count_kafka_partitions, idle_workers, own_topics
from tracker.logs import get_logger
from tracker.obstacles import Cause
from tracker.pipeline.waits import Waits
from tracker.settings import Settings
from tracker.waiting import Stopping

log = get_logger()


def wait_for_topics(settings: Settings, admin: AdminClient, waits: Waits) -> None:
    """Wait until the tracker's own topics exist, and may be read and written.

    :raises Stopping: the worker is to stop.
    """
    wanted = own_topics(settings)
    while not waits.stopping.is_set():
        try:
            found = access(admin, wanted)
        except KafkaException as error:
            waits.for_broker(error)
            continue
        missing = [topic for topic, is_there in found.items() if is_there is Access.NO_TOPIC]
        forbidden = [
            f"to {wanted[topic].name.lower()} {topic}"
            for topic, is_there in found.items()
            if is_there is Access.NO_RIGHT
        ]
        if missing:
            log.warning("topics are missing: create them, with 'tracker topics --create'", topics=missing)
        if forbidden:
            log.warning("rights on topics are missing: add ACLs for the tracker's user", rights=forbidden)
        if not missing and not forbidden:
            waits.obstacles.clear()
            return
        reasons = [f"topic {topic!r} does not exist" for topic in missing]
        reasons += [f"the tracker lacks the right {right}" for right in forbidden]
        waits.obstacles.report(Cause.TOPICS, ", ".join(reasons))
        waits.stop_deadline.pause(2.0, waits.stopping.is_set)
    raise Stopping


def warn_of_idle_workers(settings: Settings, admin: AdminClient) -> None:
    """Log a warning if there are fewer Kafka partitions than workers."""
    with suppress(KafkaException):
        count = count_kafka_partitions(admin, settings.topics)
        if warning := idle_workers(count, settings.workers):
            log.warning(warning)
