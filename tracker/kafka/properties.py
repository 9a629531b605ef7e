"""The properties of a worker's clients: the user's, the tracker's defaults, and what the promises need."""

from typing import Any

from tracker.kafka.broker_limits import NO_LIMITS, TRANSACTION_TIMEOUT_MS, BrokerLimits
from tracker.kafka.membership import is_classic
from tracker.kafka.stuck import STATISTICS_INTERVAL_MS
from tracker.settings import Settings

_MAX_POLL_INTERVAL_MS = 300_000  # librdkafka's default
_OF_MEMBERS = ("session.timeout.ms", "heartbeat.interval.ms", "max.poll.interval.ms")


def consumer_properties(settings: Settings, slot: int, limits: BrokerLimits = NO_LIMITS) -> dict[str, str]:
    """Return librdkafka's properties for a worker: the user's, and those that the promises need.

    With the group protocol `consumer` a worker is not a static member. After a worker had died, the broker
    would refuse the next process of its slot until the session ends, 45 s by default
    (`UNRELEASED_INSTANCE_ID`).
    """
    name = f"{settings.group_id}-{settings.instance}-{slot}"
    identity = {"group.id": settings.group_id}
    properties = {
        # What librdkafka holds beyond the batches: a fifth of a second of records at full speed. With twice
        # as much a worker is no faster, and needs 20 MB more.
        "queued.max.messages.kbytes": "16384",
        "fetch.wait.max.ms": "50",
        # How long librdkafka fetches nothing after its queue was full. With its default of 1,000 ms workers
        # waited half of the time, and reached 0.50 of the ceiling instead of 0.91.
        "fetch.queue.backoff.ms": "5",
        # How soon added Kafka partitions are read, and a recreated topic is noticed; by default it takes
        # 5 minutes.
        "topic.metadata.refresh.interval.ms": "10000",
        "max.partition.fetch.bytes": "4194304",
    }
    user_properties = settings.consumer_properties()
    if is_classic(settings):
        # A process that replaces one that died is assigned what that one had, at once.
        identity["group.instance.id"] = name
        properties["partition.assignment.strategy"] = "cooperative-sticky"
        session_ms = limits.session_timeout_ms()
        properties["session.timeout.ms"] = str(session_ms)
        if session_ms > _MAX_POLL_INTERVAL_MS:
            properties["max.poll.interval.ms"] = str(session_ms)  # librdkafka allows no shorter one
        # Members learn of a rebalance with their next heartbeat: with the default of 3 s, a member that joins
        # waits for up to 3 s.
        properties["heartbeat.interval.ms"] = str(min(1_000, session_ms // 3))
    else:
        properties["client.id"] = name  # so that people can tell the members apart
    properties |= user_properties
    return properties | {
        **identity,
        "enable.auto.commit": "false",
        "enable.auto.offset.store": "false",
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",  # each assignment says where to start
        "allow.auto.create.topics": "false",
    }


def outsider_properties(settings: Settings, group_id: str) -> dict[str, str]:
    """Return what the user set for consumers, for one that names a group, and neither joins it nor commits.

    What only members of a group need is left out: librdkafka's default session time-out is longer than a
    worker's, and it allows no interval between polls that is shorter than the session.
    """
    user_properties = settings.consumer_properties()
    properties = {name: text for name, text in user_properties.items() if name not in _OF_MEMBERS}
    return properties | {"group.id": group_id, "enable.auto.commit": "false"}


def producer_properties(settings: Settings, transactional_id: str) -> dict[str, Any]:
    """Return librdkafka's properties for a producer: the user's, and those that the promises need."""
    properties: dict[str, Any] = {
        "linger.ms": "5",
        "batch.size": "1000000",
        "message.max.bytes": str(2 * settings.max_message_bytes + 1_048_576),
        "queue.buffering.max.messages": "1000000",
        "queue.buffering.max.kbytes": "1048576",
        # librdkafka tries to begin a transaction while the last one is still being completed. This is its
        # first wait between tries, doubled each time: transactions back to back take 93 ms each with the
        # default of 100, 8.2 with 5, 4.4 with 1.
        "retry.backoff.ms": "1",
        "statistics.interval.ms": str(STATISTICS_INTERVAL_MS),
        "partitioner": "murmur2_random",  # keys land where Java's producers put them
    }
    properties |= settings.producer_properties()
    properties |= {"allow.auto.create.topics": "false", "delivery.report.only.error": True}
    if settings.delivery == "exactly_once":
        properties.setdefault("transaction.timeout.ms", str(TRANSACTION_TIMEOUT_MS))
        properties["transactional.id"] = transactional_id
    else:
        properties["enable.idempotence"] = "true"
    return properties


def command_producer_properties(settings: Settings, transactional_id: str) -> dict[str, Any]:
    """Return librdkafka's properties for a command that sends in transactions, whatever workers do.

    A message for a topic that has just been removed fails after 5 s instead of 30, which is as long as a
    transaction may take.
    """
    properties = producer_properties(settings, transactional_id) | {"statistics.interval.ms": "0"}
    properties.setdefault("topic.metadata.propagation.max.ms", "5000")
    properties.setdefault("transaction.timeout.ms", str(TRANSACTION_TIMEOUT_MS))
    return properties | {"transactional.id": transactional_id}


def single_producer_properties(settings: Settings) -> dict[str, Any]:
    """Return librdkafka's properties for a command that sends without a transaction, whatever workers do.

    So it needs no right to a transactional ID.
    """
    properties = producer_properties(settings, "") | {"statistics.interval.ms": "0"}
    for name in ("transactional.id", "transaction.timeout.ms"):
        properties.pop(name, None)
    return properties | {"enable.idempotence": "true"}
