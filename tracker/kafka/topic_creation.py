"""Creates topics."""

import time
from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from tracker.kafka.explain import kafka_errors
from tracker.kafka.inspection import kafka_partition_counts

BROKERS_DEFAULT = -1
_TIMEOUT_S = 15.0


def create_topics(
    admin: AdminClient, kafka_partitions: Mapping[str, int], replication_factor: int = BROKERS_DEFAULT
) -> None:
    """Create topics with these numbers of Kafka partitions; leave topics that exist by now as they are.

    :raises TrackerError: Kafka does not answer, or refuses.
    """
    new = [NewTopic(topic, count, replication_factor) for topic, count in kafka_partitions.items()]
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
