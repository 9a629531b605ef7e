"""Warns of topics whose messages wait while one broker is down."""

from collections.abc import Iterator

from tracker.kafka.destinations import compile_patterns
from tracker.kafka.inspection import ClusterMetadata, TopicMetadata
from tracker.settings import Settings

_MAX_NAMED = 10


def warnings_of_replicas(settings: Settings, metadata: ClusterMetadata) -> Iterator[str]:
    """Yield warnings about the tracker's topics and the known destinations.

    The known destinations are the topics that TRACKER_DESTINATIONS allows. If it is empty, messages may name
    any topic.
    """
    own = {*settings.topics, settings.dead_letter_topic}
    patterns = compile_patterns(settings.destinations)
    topics = {
        name: topic
        for name, topic in sorted(metadata.topics.items())
        if name in own or (not name.startswith("__") and any(pattern.fullmatch(name) for pattern in patterns))
    }
    without_leader = [name for name, topic in topics.items() if _lacks_leader(topic)]
    if without_leader:
        yield (
            f"Kafka partitions of {_listed(without_leader)} have no leader, and batches with messages for"
            " them wait: bring their broker back"
        )
    single = [name for name, topic in topics.items() if _replicas(topic) == 1]
    if single and len(metadata.brokers) > 1:
        yield (
            f"{_listed(single)} {'has' if len(single) == 1 else 'have'} one replica: while its broker is"
            " down, the messages of all workers that use it wait; give it three, with min.insync.replicas=2"
        )


def _lacks_leader(topic: TopicMetadata) -> bool:
    return any(each.leader < 0 for each in topic.partitions.values())


def _replicas(topic: TopicMetadata) -> int:
    return min((len(each.replicas) for each in topic.partitions.values()), default=0)


def _listed(names: list[str]) -> str:
    rest = len(names) - _MAX_NAMED
    kind = "topic" if len(names) == 1 else "topics"
    return f"{kind} {', '.join(names[:_MAX_NAMED])}" + (f" and {rest} more" if rest > 0 else "")
