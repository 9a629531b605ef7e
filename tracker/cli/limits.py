"""What the brokers' and topics' own settings do not allow, as far as they may be asked for."""

from collections.abc import Iterator

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from confluent_kafka.admin._metadata import ClusterMetadata

from tracker.kafka.answers import answer_of
from tracker.settings import Settings

_TIMEOUT_S = 10.0
_TRANSACTION_MS, _SESSION_MS = 30_000, 20_000  # what the tracker's clients ask for by default
_OUTAGE_MINUTES = 24 * 60  # offsets should outlive this


def misfits(settings: Settings, admin: AdminClient, metadata: ClusterMetadata) -> Iterator[str]:
    """Yield a sentence for each limit that stops the tracker, and the variable to set, or what to change."""
    broker = _settings_of(admin, ResourceType.BROKER, str(next(iter(metadata.brokers), 0)))
    producer, consumer = settings.producer_properties(), settings.consumer_properties()
    asked = int(producer.get("transaction.timeout.ms", _TRANSACTION_MS))
    limit = broker.get("transaction.max.timeout.ms", asked)
    if asked > limit:
        yield (
            f"The brokers allow transactions of {limit} ms (transaction.max.timeout.ms), and the tracker asks"
            f" for {asked} ms: set TRACKER_KAFKA_PRODUCER_TRANSACTION_TIMEOUT_MS={limit}, or raise the limit."
        )
    asked = int(consumer.get("session.timeout.ms", _SESSION_MS))
    low = broker.get("group.min.session.timeout.ms", asked)
    high = broker.get("group.max.session.timeout.ms", asked)
    if consumer.get("group.protocol", "classic") == "classic" and not low <= asked <= high:
        yield (
            f"The brokers allow sessions of {low} to {high} ms (group.min.session.timeout.ms,"
            f" group.max.session.timeout.ms), and the tracker asks for {asked} ms: set"
            f" TRACKER_KAFKA_CONSUMER_SESSION_TIMEOUT_MS={min(max(asked, low), high)}, or change the limit."
        )
    size = broker.get("group.max.size", settings.workers)
    if settings.workers > size:
        yield (
            f"The brokers allow {size} members of a group (group.max.size): set TRACKER_WORKERS so that all"
            " workers together are not more, or raise the limit."
        )
    kept = broker.get("offsets.retention.minutes", _OUTAGE_MINUTES)
    if kept < _OUTAGE_MINUTES:
        yield (
            f"The brokers keep offsets of a stopped group for {kept} minutes (offsets.retention.minutes):"
            " after a longer outage they are gone, and 'tracker adopt database' is needed; raise it to a day"
            " or more."
        )
    yield from _topics_that_take_nothing(settings, admin, metadata)


def _topics_that_take_nothing(
    settings: Settings, admin: AdminClient, metadata: ClusterMetadata
) -> Iterator[str]:
    for name in dict.fromkeys([*settings.topics, settings.dead_letter_topic]):
        topic = metadata.topics.get(name)
        if topic is None or not topic.partitions:
            continue
        replicas = min(len(each.replicas) for each in topic.partitions.values())
        needed = _settings_of(admin, ResourceType.TOPIC, name).get("min.insync.replicas", 1)
        if needed > replicas:
            yield (
                f"The topic {name} takes no message: min.insync.replicas is {needed}, and it has {replicas}"
                f" {'replica' if replicas == 1 else 'replicas'}; lower the one, or add replicas."
            )


def _settings_of(admin: AdminClient, kind: ResourceType, name: str) -> dict[str, int]:
    """Return the numbers among the settings of a broker or topic; nothing where one may not ask."""
    try:
        [answer] = admin.describe_configs([ConfigResource(kind, name)], request_timeout=_TIMEOUT_S).values()
        found = answer_of(answer, _TIMEOUT_S)
    except KafkaException:
        return {}
    return {key: int(entry.value) for key, entry in found.items() if entry.value and entry.value.isdecimal()}
