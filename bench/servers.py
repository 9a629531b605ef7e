"""The Kafka and the PostgreSQL that are measured with: what is made in them, and what they count."""

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
_MOST_STATEMENTS = 15  # of those that took the longest


class Servers:
    """A Kafka and a PostgreSQL that run. `clients` are the properties of every Kafka client.

    `stack` is given where they were started for the benchmark: only then is it known what they cost.
    `prefix` begins the name of everything that is made in them.
    """

    def __init__(
        self,
        clients: Mapping[str, Any],
        database_url: str,
        stack: LocalStack | None = None,
        prefix: str = "bench",
    ) -> None:
        self.clients = {**clients, "log_level": 2}  # what is critical; the rest comes as errors
        self.prefix = prefix
        self.ours = stack is not None
        self.admin = AdminClient(self.clients)
        self._stack = stack
        self._database_url = database_url
        self._statements_counted = False

    @classmethod
    def of_stack(cls, stack: LocalStack) -> "Servers":
        """Return those of a stack that has been started."""
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
        """The first process of PostgreSQL, whose children the others are, where the stack has started it."""
        if self._stack is None or self._stack.postgres is None:
            return []
        return [self._stack.postgres.pid]

    @contextmanager
    def topics(self, topics: Topics, config: Mapping[str, str] | None = None) -> Iterator[None]:
        """Create topics, and delete them with all their data, and the groups that have read them."""
        counts = {topics.tracking: topics.partitions, topics.destination: topics.partitions}
        counts |= {topics.start: 1, topics.dead_letters: 1}
        # A minute's wait for space is too long here; other people's brokers may not let us say so.
        config = {**(config or {}), **({"file.delete.delay.ms": "100"} if self.ours else {})}
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
    def database(self, name: str) -> Iterator[str]:
        """Create a database with the tracker's schema, yield its URL, and drop it."""
        identifier = sql.Identifier(name)
        with self._connection() as connection:
            try:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
            except psycopg.errors.InsufficientPrivilege:
                raise BenchError(
                    "PostgreSQL does not let this user create the database that the benchmark needs; it takes"
                    " the right CREATEDB"
                ) from None
            url = make_conninfo(self._database_url, dbname=name)
            try:
                migrate(url)
                yield url
            finally:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))

    def wal_bytes(self) -> int | None:
        """Return how much WAL has been written since the server was made; None: others write too."""
        if not self.ours:
            return None
        with self._connection() as connection:
            (position,) = _row(connection, "SELECT pg_current_wal_insert_lsn() - '0/0'")
        return int(position)

    def forget_statements(self) -> None:
        """Count statements from zero."""
        if self._statements_counted:
            with self._connection() as connection:
                connection.execute("SELECT pg_stat_statements_reset()")

    def statements(self, database: str) -> tuple[int, list[dict[str, Any]]] | None:
        """Return how many statements this database has had, and those that took the longest.

        None: this PostgreSQL has no means of counting them.
        """
        if not self._statements_counted:
            return None
        with self._connection() as connection:
            of = {"database": database, "most": _MOST_STATEMENTS}
            (calls,) = _row(connection, f"SELECT coalesce(sum(calls), 0)::bigint {_STATEMENTS}", of)
            most = connection.execute(
                f"SELECT query, calls, total_exec_time, rows, wal_bytes {_STATEMENTS}"
                " ORDER BY total_exec_time DESC LIMIT %(most)s",
                of,
            ).fetchall()
        names = ("query", "calls", "milliseconds", "rows", "wal_bytes")
        return int(calls), [
            dict(zip(names, (_one_line(query), calls, round(ms, 1), rows, int(wal)), strict=True))
            for query, calls, ms, rows, wal in most
        ]

    def versions(self) -> dict[str, str]:
        """Return the versions of both."""
        with self._connection() as connection:
            (postgres,) = _row(connection, "SHOW server_version")
        return {"postgresql": str(postgres), "kafka": _kafka_version(self.broker_pids)}

    def count_statements(self) -> None:
        """Have PostgreSQL count statements, for which it is restarted; only where it is ours, and able to."""
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
        """Delete the groups of a measurement, which would otherwise stay for a week."""
        ours = self.admin.list_consumer_groups(request_timeout=_CALL_TIMEOUT_S).result(_CALL_TIMEOUT_S).valid
        groups = [group.group_id for group in ours if group.group_id.startswith(topics.tracking)]
        if groups:
            for deleted in self.admin.delete_consumer_groups(groups).values():
                with suppress(KafkaException):  # there are members of it still: it goes by itself
                    deleted.result(_CALL_TIMEOUT_S)


_STATEMENTS = """
FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid WHERE datname = %(database)s
"""


def ends(admin: AdminClient, topic: str, partitions: int, *, committed: bool) -> dict[int, int]:
    """Return the offset behind the last record of each Kafka partition, or behind the last committed one."""
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    places = {TopicPartition(topic, number): latest for number in range(partitions)}
    level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
    deadline = time.monotonic() + _CALL_TIMEOUT_S
    while True:
        asked = admin.list_offsets(places, isolation_level=level, request_timeout=_CALL_TIMEOUT_S)
        try:
            return {place.partition: answer.result(_CALL_TIMEOUT_S).offset for place, answer in asked.items()}
        except KafkaException as error:
            # A topic may be known a moment before its leader has taken it over.
            if not error.args[0].retriable() and error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION:
                raise
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def wait_until_visible(admin: AdminClient, topic: str, partitions: int) -> float:
    """Wait until all records of a topic are committed; return when that was (`time.monotonic`)."""
    while ends(admin, topic, partitions, committed=True) != ends(admin, topic, partitions, committed=False):
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
