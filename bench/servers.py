"""The Kafka and the PostgreSQL of a run: what is created in them, and what they count."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from psycopg import sql
from psycopg.conninfo import make_conninfo

from bench.errors import BenchError
from bench.workload import Topics
from tracker.stack import LocalStack
from tracker.store.migrate import migrate

_CALL_TIMEOUT_S = 30.0
_MAX_STATEMENTS = 15  # those with the longest total time


class Servers:
    """A running Kafka and PostgreSQL. `clients` are the properties of every Kafka client.

    `stack` is given if they were started for the run: only then can their cost be measured. `prefix` begins
    the name of everything that is created in them.
    """

    def __init__(
        self,
        clients: Mapping[str, Any],
        database_url: str,
        stack: LocalStack | None = None,
        prefix: str = "bench",
    ) -> None:
        self.clients = {**clients, "log_level": 2}  # critical lines only; other errors come through the API
        self.prefix = prefix
        self.started_here = stack is not None
        self.admin = AdminClient(self.clients)
        self._stack = stack
        self._database_url = database_url
        self._statements_counted = False

    @classmethod
    def of_stack(cls, stack: LocalStack) -> "Servers":
        """Return the servers of a running stack."""
        return cls({"bootstrap.servers": stack.bootstrap_servers}, stack.database_url, stack)

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of the brokers."""
        return str(self.clients["bootstrap.servers"])

    @property
    def broker_pids(self) -> list[int]:
        """The processes of the brokers that the stack has started."""
        return [] if self._stack is None else [broker.pid for broker in self._stack.brokers]

    @property
    def postgres_pids(self) -> list[int]:
        """The parent of all processes of the PostgreSQL that the stack has started."""
        if self._stack is None or self._stack.postgres is None:
            return []
        return [self._stack.postgres.pid]

    @contextmanager
    def topics(self, topics: Topics, config: Mapping[str, str] | None = None) -> Iterator[None]:
        """Create topics; afterwards delete them, and the groups that have read them."""
        counts = {topics.tracking: topics.kafka_partitions, topics.destination: topics.kafka_partitions}
        counts |= {topics.start: 1, topics.dead_letters: 1}
        # A minute is too long to wait for disk space; given brokers may refuse this property.
        config = {**(config or {}), **({"file.delete.delay.ms": "100"} if self.started_here else {})}
        new = [NewTopic(name, num_partitions=count, config=config) for name, count in counts.items()]
        try:
            for created in self.admin.create_topics(new).values():
                created.result(_CALL_TIMEOUT_S)
            yield
        finally:
            for deleted in self.admin.delete_topics(list(counts)).values():
                try:
                    deleted.result(_CALL_TIMEOUT_S)
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                        raise
            self._delete_groups(topics)

    @contextmanager
    def database(self, name: str, *, last_migration: int | None = None) -> Iterator[str]:
        """Create a database with the tracker's schema, yield its URL, and drop it.

        `last_migration`: the number of the last one to apply.
        """
        identifier = sql.Identifier(name)
        with self._connection() as connection:
            try:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
            except psycopg.errors.InsufficientPrivilege:
                raise BenchError(
                    "PostgreSQL does not let this user create the database that the benchmark needs; the role"
                    " needs the privilege CREATEDB"
                ) from None
            url = make_conninfo(self._database_url, dbname=name)
            try:
                migrate(url, last=last_migration)
                yield url
            finally:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))

    def wal_bytes(self) -> int | None:
        """Return how much WAL the server has written; None for given servers, where others write too."""
        if not self.started_here:
            return None
        with self._connection() as connection:
            (position,) = _row(connection, "SELECT pg_current_wal_insert_lsn() - '0/0'")
        return int(position)

    def reset_statements(self) -> None:
        """Start counting statements from zero."""
        if self._statements_counted:
            with self._connection() as connection:
                connection.execute("SELECT pg_stat_statements_reset()")

    def statements(self, database: str) -> tuple[int, list[dict[str, Any]]] | None:
        """Return the number of statements that this database has run, and those with the longest total time.

        None: this PostgreSQL does not count statements.
        """
        if not self._statements_counted:
            return None
        with self._connection() as connection:
            of = {"database": database, "most": _MAX_STATEMENTS}
            (calls,) = _row(connection, f"SELECT coalesce(sum(calls), 0)::bigint {_STATEMENTS}", of)
            longest = connection.execute(
                f"SELECT query, calls, total_exec_time, rows, wal_bytes {_STATEMENTS}"
                " ORDER BY total_exec_time DESC LIMIT %(most)s",
                of,
            ).fetchall()
        names = ("query", "calls", "milliseconds", "rows", "wal_bytes")
        return int(calls), [
            dict(zip(names, (_one_line(query), calls, round(ms, 1), rows, int(wal)), strict=True))
            for query, calls, ms, rows, wal in longest
        ]

    def versions(self) -> dict[str, str]:
        """Return the versions of both servers."""
        with self._connection() as connection:
            (postgres,) = _row(connection, "SHOW server_version")
        return {"postgresql": str(postgres), "kafka": _kafka_version(self.broker_pids)}

    def enable_statement_counts(self) -> None:
        """Restart a PostgreSQL that was started for the run, so that it counts statements if it can."""
        server = None if self._stack is None else self._stack.postgres
        if server is None:
            return
        with self._connection() as connection:
            available = connection.execute(
                "SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements'"
            ).fetchone()
            if available is None:
                return
            connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        server.stop()
        server.start()
        with self._connection() as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
        self._statements_counted = True

    def _connection(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._database_url, autocommit=True)

    def _delete_groups(self, topics: Topics) -> None:
        """Delete the groups of a measurement, which Kafka would otherwise keep for a week."""
        listed = self.admin.list_consumer_groups(request_timeout=_CALL_TIMEOUT_S).result(_CALL_TIMEOUT_S)
        groups = [group.group_id for group in listed.valid if group.group_id.startswith(topics.tracking)]
        if groups:
            for deleted in self.admin.delete_consumer_groups(groups).values():
                with suppress(KafkaException):  # it still has members; Kafka removes it later
                    deleted.result(_CALL_TIMEOUT_S)


_STATEMENTS = """
FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid WHERE datname = %(database)s
"""


_NO_LEADER_YET = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError._NOENT,  # librdkafka: "No leaders found"
)


def end_offsets(admin: AdminClient, topic: str, kafka_partitions: int, *, committed: bool) -> dict[int, int]:
    """Return the offset after the last record, or the last committed one, of each Kafka partition."""
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    latest_offsets = {TopicPartition(topic, number): latest for number in range(kafka_partitions)}
    level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
    deadline = time.monotonic() + _CALL_TIMEOUT_S
    while True:
        answers = admin.list_offsets(latest_offsets, isolation_level=level, request_timeout=_CALL_TIMEOUT_S)
        try:
            return {
                topic_partition.partition: answer.result(_CALL_TIMEOUT_S).offset
                for topic_partition, answer in answers.items()
            }
        except KafkaException as error:
            # A topic can be known a moment before it has a leader, or before that accepts requests.
            if not error.args[0].retriable() and error.args[0].code() not in _NO_LEADER_YET:
                raise
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def wait_until_visible(admin: AdminClient, topic: str, kafka_partitions: int) -> float:
    """Wait until all records of a topic are committed; return when that was (`time.monotonic`)."""
    where = admin, topic, kafka_partitions
    while end_offsets(*where, committed=True) != end_offsets(*where, committed=False):
        time.sleep(0.005)
    return time.monotonic()


def _kafka_version(pids: list[int]) -> str:
    for pid in pids:
        command = Path(f"/proc/{pid}/cmdline").read_text()
        found = re.search(r"/kafka_[\d.]+-([\d.]+\w*)\.jar", command)
        if found:
            return found[1]
    return "unknown"


def _row(
    connection: psycopg.Connection[Any], query: str, parameters: dict[str, Any] | None = None
) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(query, parameters).fetchone()
    assert row is not None
    return row


def _one_line(query: str) -> str:
    return " ".join(query.split())[:300]
