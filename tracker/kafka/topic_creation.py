"""Creates topics."""

import time
from collections.abc import Collection, Mapping

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic, ResourceType

from tracker.errors import TrackerError
from tracker.kafka.answers import answer_of, config_of
from tracker.kafka.explain import explain, kafka_errors
from tracker.kafka.inspection import kafka_partition_counts
from tracker.kafka.topics import Access, write_access

BROKERS_DEFAULT = -1
_TIMEOUT_S = 15.0
_COMPACTED = {"cleanup.policy": "compact"}


def create_topics(
    admin: AdminClient,
    kafka_partitions: Mapping[str, int],
    replication_factor: int = BROKERS_DEFAULT,
    compacted: Collection[str] = (),
) -> None:
    """Create topics with these numbers of Kafka partitions; leave topics that exist by now as they are.

    `compacted`: those of them that keep the last record of each key.

    :raises TrackerError: Kafka does not answer, or refuses.
    """
    new = [
        NewTopic(topic, count, replication_factor, config=_COMPACTED if topic in compacted else {})
        for topic, count in kafka_partitions.items()
    ]
    for topic, future in admin.create_topics(new, request_timeout=_TIMEOUT_S).items():
        with kafka_errors(f"the topic {topic} could not be created"):
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
    # Brokers learn of a new topic one after the other.
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline and not kafka_partition_counts(admin).keys() >= kafka_partitions.keys():
        time.sleep(0.1)


def require_compacted_topic(admin: AdminClient, topic: str) -> None:
    """Create a compacted topic with one Kafka partition, unless it is there.

    :raises TrackerError: it cannot be created, is not compacted, or may not be written to.
    """
    with kafka_errors():
        found = write_access(admin, topic)
    if found is Access.NO_RIGHT:
        raise TrackerError(f"you may not write to the topic {topic}")
    if found is Access.NO_TOPIC:
        create_topics(admin, {topic: 1}, compacted={topic})
    if problem := compaction_problem(admin, topic):
        raise TrackerError(f"the topic {topic} {problem}")


def compaction_problem(admin: AdminClient, topic: str) -> str:
    """Return why a topic does not keep the last record of each key, as a predicate; '': it does."""
    # The answer is empty for a user who may not ask.
    policy = config_of(admin, ResourceType.TOPIC, topic).get("cleanup.policy", "compact")
    if policy == "compact":
        return ""
    return (
        f"has cleanup.policy={policy}, so it forgets what was replayed or dropped: set cleanup.policy=compact"
    )


def creation_refusal(admin: AdminClient, topic: str) -> str:
    """Return why this user cannot create a compacted topic, as a clause; '': it can. Nothing is created."""
    new = NewTopic(topic, 1, BROKERS_DEFAULT, config=_COMPACTED)
    [answer] = admin.create_topics([new], validate_only=True, request_timeout=_TIMEOUT_S).values()
    try:
        answer_of(answer, _TIMEOUT_S)
    except KafkaException as error:
        return explain(error.args[0])
    return ""
