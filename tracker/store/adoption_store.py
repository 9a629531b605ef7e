"""What `tracker adopt` reads and changes in the database."""

from collections.abc import Iterator
from contextlib import contextmanager

from tracker.agreement import Known
from tracker.kafka_partition import KafkaPartition
from tracker.store import locks
from tracker.store.connect import Connection, Conninfo, connected
from tracker.store.explain import database_errors
from tracker.store.queries import query


class AdoptionStore:
    """A session of `tracker adopt`. Each method may raise `psycopg.Error`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read_progress(self) -> dict[KafkaPartition, Known]:
        """Return what the database knows of each Kafka partition."""
        rows = self._connection.execute(query("read_progress")).fetchall()
        return {(topic, number): Known(*known) for topic, number, *known in rows}

    def read_send_numbers(self) -> Known:
        """Return the last send number that was given, and the last sent number."""
        [(_, last, sent)] = self._connection.execute(query("lock_deployment")).fetchall()
        return Known(last, sent)

    def count_releases(self, kafka_partition: KafkaPartition, below: int) -> int:
        """Return how many jobs the records below an offset have released, which may have started already."""
        return self._count("count_releases", **_named(kafka_partition), below=below)

    def count_unsent(self, sent_number: int) -> int:
        """Return how many outbox entries have a number above the last sent number."""
        return self._count("count_unsent", sent_number=sent_number)

    def become_scheduler(self) -> bool:
        """Take the scheduler's lock, to the end of the session; return whether it was free."""
        parameters = {"class": locks.SCHEDULER}
        [(locked,)] = self._connection.execute(query("try_scheduler_lock"), parameters).fetchall()
        return bool(locked)

    def set_sent_number(self, number: int) -> None:
        """Record that the scheduler has sent everything up to a number."""
        self._execute("set_sent_number", number=number)
        self._execute("delete_published", sent_number=number)

    def return_to_scheduler(self, kafka_partition: KafkaPartition, below: int) -> None:
        """Have the scheduler start the jobs that the records below an offset have released."""
        self._execute("return_to_scheduler", **_named(kafka_partition), below=below)

    def remove_stale_skips(self, kafka_partition: KafkaPartition, topic_id: str) -> None:
        """Remove the skips of a Kafka partition whose topic was recreated and now has this ID."""
        self._execute("remove_stale_skips", **_named(kafka_partition), topic_id=topic_id)

    def set_progress(self, kafka_partition: KafkaPartition, offset: int, topic_id: str) -> None:
        """Record that a Kafka partition is applied and published up to an offset, whatever was stored."""
        self._execute("set_progress", **_named(kafka_partition), offset=offset, topic_id=topic_id)

    def delete_progress(self, kafka_partition: KafkaPartition) -> None:
        """Delete the progress of a Kafka partition: the next record that is read from it is the first."""
        self._execute("delete_progress", **_named(kafka_partition))

    def commit(self) -> None:
        """Commit what has been changed."""
        self._connection.commit()

    def _execute(self, statement: str, **parameters: object) -> None:
        self._connection.execute(query(statement), parameters)

    def _count(self, statement: str, **parameters: object) -> int:
        [(count,)] = self._connection.execute(query(statement), parameters).fetchall()
        return int(count)


@contextmanager
def adoption_store(conninfo: Conninfo) -> Iterator[AdoptionStore]:
    """Open a session; at the end commit, or roll back after an error.

    :raises TrackerError: the database cannot be reached, or rejects a statement.
    """
    with database_errors(), connected(conninfo) as connection:
        yield AdoptionStore(connection)


def _named(kafka_partition: KafkaPartition) -> dict[str, object]:
    topic, number = kafka_partition
    return {"topic": topic, "kafka_partition": number}
