"""The scheduler's last sent number: everything up to it was sent. It is the offset of a group of its own.

It is committed on Kafka partition 0 of the first tracking topic. Which topic is first may change, or differ
between deployments that share a database. Numbers only grow, so the highest one that was committed with this
database counts, on whichever topic it is.
"""

from confluent_kafka import KafkaException, TopicPartition

from tracker.kafka.committed import ask_committed, group_reader
from tracker.kafka.password import RotatedPassword
from tracker.settings import Settings

_CALL_TIMEOUT_S = 10.0


class SentNumber:
    """Reads and commits the last sent number.

    `consumer` never subscribes: the broker takes its group metadata for the commits.
    """

    def __init__(self, settings: Settings) -> None:
        self.group_id = f"{settings.group_id}-scheduler"
        self.topic = settings.topics[0]
        self._password = RotatedPassword(settings, "consumer")
        self.consumer = group_reader(settings, self.group_id, wait_for_transactions=True)

    def read(self, database_id: str) -> tuple[int | None, str]:
        """Return the number, None if there is none, and the ID of the database that it was committed with.

        :raises KafkaException: no broker has answered.
        """
        # This asks for all topics. An admin client could list only those that the group has committed, but
        # then librdkafka sometimes kills the process ("Assertion `eonce->refcnt > 0' failed", 2.16).
        topics = {self.topic, *self.consumer.list_topics(timeout=_CALL_TIMEOUT_S).topics}
        found = {}
        for each in ask_committed(self.consumer, [(topic, 0) for topic in sorted(topics)]):
            if each.error is not None and each.topic == self.topic:
                raise KafkaException(each.error)
            if each.error is None and each.offset >= 0:
                found[each.topic] = each.offset, each.metadata or ""
        on_first_topic = found.get(self.topic)
        if on_first_topic is not None and on_first_topic[1] != database_id:
            return on_first_topic
        ours = [number for number, metadata in found.values() if metadata == database_id]
        return (max(ours), database_id) if ours else (None, "")

    def topic_partition(self, number: int, database_id: str) -> TopicPartition:
        """Return the offset to commit when everything up to `number` was sent."""
        return TopicPartition(self.topic, 0, number, database_id)

    def commit(self, number: int, database_id: str) -> None:
        """Commit the number without a transaction.

        :raises KafkaException: it is not committed.
        """
        self.consumer.commit(offsets=[self.topic_partition(number, database_id)], asynchronous=False)

    def poll_callbacks(self) -> None:
        """Let librdkafka log: it keeps its lines in memory until then."""
        self.consumer.poll(0)
        self._password.update(self.consumer)

    def close(self) -> None:
        """Disconnect."""
        self.consumer.close()
