"""Limits in the settings of brokers and topics, as far as the tracker may read these."""

from collections.abc import Iterator

from tracker.dead_letters import state_topic
from tracker.errors import sentence
from tracker.kafka.broker_limits import (
    broker_numbers,
    group_size_limit,
    limits_in,
    session_problem,
    session_warnings,
    topic_numbers,
    transaction_problem,
    transaction_warnings,
    users_session_timeout,
    users_transaction_timeout,
)
from tracker.kafka.inspection import AdminClient, ClusterMetadata
from tracker.kafka.membership import is_classic
from tracker.settings import Settings

_OUTAGE_MINUTES = 24 * 60  # offsets should outlive this
# Allowance for headers, key and the batch's own data around a value, in a topic's limit.
_AROUND_A_VALUE_BYTES = 65_536


def problems_of_limits(settings: Settings, admin: AdminClient, metadata: ClusterMetadata) -> Iterator[str]:
    """Yield a sentence for each limit that stops the tracker, with what to set or change."""
    broker = _broker(admin, metadata)
    limits = limits_in(broker)
    asked = users_transaction_timeout(settings)
    if settings.delivery == "exactly_once" and asked is not None and asked > limits.transaction_ms:
        yield sentence(transaction_problem(settings, limits, asked))
    asked = users_session_timeout(settings)
    if is_classic(settings) and asked is not None and not limits.allow_session(asked):
        yield sentence(session_problem(settings, limits))
    size = broker.get(group_size_limit(settings), settings.workers)
    if settings.workers > size:
        yield (
            f"The brokers allow {size} members of a group ({group_size_limit(settings)}): set TRACKER_WORKERS"
            " so that all workers together are not more, or raise the limit."
        )
    kept = broker.get("offsets.retention.minutes", _OUTAGE_MINUTES)
    if kept < _OUTAGE_MINUTES:
        yield (
            f"The brokers keep offsets of a stopped group for {kept} minutes (offsets.retention.minutes):"
            " after a longer outage they are gone, and 'tracker adopt database' is needed; raise it to a day"
            " or more."
        )
    yield from _topics_that_take_nothing(settings, admin, metadata)


def warnings_of_limits(settings: Settings, admin: AdminClient, metadata: ClusterMetadata) -> Iterator[str]:
    """Yield a sentence for each limit that does not stop the tracker, but that users should know."""
    limits = limits_in(_broker(admin, metadata))
    if settings.delivery == "exactly_once":
        yield from map(sentence, transaction_warnings(settings, limits))
    if is_classic(settings):
        yield from map(sentence, session_warnings(settings, limits))
    yield from _sizes(settings, admin, metadata)


def _sizes(settings: Settings, admin: AdminClient, metadata: ClusterMetadata) -> Iterator[str]:
    """Compare TRACKER_MAX_MESSAGE_BYTES with the limits of the topics that the settings name."""
    own = settings.max_message_bytes
    destinations = [name for name in settings.destinations if "*" not in name]
    for name in dict.fromkeys([*settings.topics, *destinations]):
        size = topic_numbers(admin, name).get("max.message.bytes") if name in metadata.topics else None
        if size is None:
            continue
        is_read = name in settings.topics
        if size < own:
            becomes = "cannot be sent there" if is_read else "become dead letters"
            yield (
                f"The {'tracking topic' if is_read else 'destination'} {name} takes messages of {size} bytes"
                f" (max.message.bytes), and TRACKER_MAX_MESSAGE_BYTES is {own}: messages between the two"
                f" {becomes}; raise the topic's limit, or set TRACKER_MAX_MESSAGE_BYTES={size} or less."
            )
        elif is_read and size > own + _AROUND_A_VALUE_BYTES:
            yield (
                f"The tracking topic {name} takes messages of {size} bytes (max.message.bytes), and"
                f" TRACKER_MAX_MESSAGE_BYTES is {own}: messages whose values are larger become dead letters;"
                f" set TRACKER_MAX_MESSAGE_BYTES={size}, or lower the topic's limit."
            )


def _topics_that_take_nothing(
    settings: Settings, admin: AdminClient, metadata: ClusterMetadata
) -> Iterator[str]:
    letters = settings.dead_letter_topic
    for name in dict.fromkeys([*settings.topics, letters, state_topic(letters)]):
        topic = metadata.topics.get(name)
        if topic is None or not topic.partitions:
            continue
        replicas = min(len(each.replicas) for each in topic.partitions.values())
        needed = topic_numbers(admin, name).get("min.insync.replicas", 1)
        if needed > replicas:
            yield (
                f"The topic {name} takes no messages: min.insync.replicas is {needed}, and it has {replicas}"
                f" {'replica' if replicas == 1 else 'replicas'}; lower the setting, or add replicas."
            )


def _broker(admin: AdminClient, metadata: ClusterMetadata) -> dict[str, int]:
    return broker_numbers(admin, next(iter(metadata.brokers), 0))
