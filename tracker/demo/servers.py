"""The servers of the demo: a Kafka with its topics, and a PostgreSQL with the schema."""

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tracker.demo.jobs import DemoError
from tracker.demo.names import Names
from tracker.kafka.errors import reason_of
from tracker.stack import LocalStack, named
from tracker.stack.local import DATABASE_VARIABLE, KAFKA_VARIABLE
from tracker.store.connect import connect
from tracker.store.migrate import migrate

KEPT_STACK = "demo"
_CALL_TIMEOUT_S = 15.0

Say = Callable[[str], None]

# Without a logger, librdkafka writes its log to stderr, between the sentences of the demo.
silent = logging.getLogger("tracker.demo.kafka")
silent.addHandler(logging.NullHandler())
silent.propagate = False


@dataclass(frozen=True)
class Servers:
    """The addresses of the servers, and the names of the demo's topics."""

    bootstrap_servers: str
    database_url: str
    names: Names


@contextmanager
def demo_servers(environment: Mapping[str, str], *, keep: bool, say: Say) -> Iterator[Servers]:
    """Provide Kafka and PostgreSQL, with topics and schema, while the demo runs.

    Servers that the environment names are used, and not started. On these, the demo creates its own topics
    and its own database, and removes them at the end. With `keep`, which works only for servers that the demo
    starts, the servers stay up; those of an earlier demo are ended first.

    :raises TrackerError: something is missing, or cannot be reached.
    """
    named_kafka, named_database = environment.get(KAFKA_VARIABLE), environment.get(DATABASE_VARIABLE)
    if keep and (named_kafka or named_database):
        variable = KAFKA_VARIABLE if named_kafka else DATABASE_VARIABLE
        raise DemoError(f"the demo can keep only servers that it starts, and {variable} names others")
    names = Names.with_prefix(f"demo-{uuid.uuid4().hex[:8]}") if named_kafka or named_database else Names()
    with ExitStack() as stack:
        bootstrap_servers, database_url = _start(environment, stack, keep=keep, say=say)
        if named_database:
            database_url = stack.enter_context(_own_database(database_url, names))
        admin = AdminClient({"bootstrap.servers": bootstrap_servers}, logger=silent)
        with _kafka_errors("created"):
            _create_topics(admin, names)
        if named_kafka:
            stack.callback(_delete_topics, admin, names)
        migrate(database_url)
        yield Servers(bootstrap_servers, database_url, names)


def _start(environment: Mapping[str, str], stack: ExitStack, *, keep: bool, say: Say) -> tuple[str, str]:
    """Return the addresses of both."""
    if not keep:
        local = stack.enter_context(LocalStack.from_environment(environment, say=say))
        return local.bootstrap_servers, local.database_url
    if named.take_down(KEPT_STACK):
        say("The servers of an earlier demo were still up, and have been ended.")
    up, _ = named.bring_up(KEPT_STACK, {}, brokers=1, say=say)
    stack.push(_take_down_after_failure)
    return up.environment[KAFKA_VARIABLE], up.environment[DATABASE_VARIABLE]


def _take_down_after_failure(kind: object, _error: object, _trace: object) -> None:
    if kind is not None:
        named.take_down(KEPT_STACK)


@contextmanager
def _own_database(url: str, names: Names) -> Iterator[str]:
    """Create a database on the server of this URL, yield the URL of the new one, and drop it."""
    name = names.group.replace("-", "_")

    def run(statement: LiteralString) -> None:
        try:
            with connect(url, application_name="tracker demo", autocommit=True) as connection:
                connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
        except psycopg.Error as error:
            reason = str(error).partition("\n")[0]
            raise DemoError(f"the demo could not have a database of its own: {reason}") from None

    run("CREATE DATABASE {}")
    try:
        yield make_conninfo(url, dbname=name)
    finally:
        run("DROP DATABASE {} WITH (FORCE)")


def _create_topics(admin: AdminClient, names: Names) -> None:
    wanted = names.kafka_partitions()
    new = [NewTopic(topic, num_partitions=count) for topic, count in wanted.items()]
    for created in admin.create_topics(new, request_timeout=_CALL_TIMEOUT_S).values():
        created.result()
    # The brokers learn of a new topic one after the other.
    deadline = time.monotonic() + _CALL_TIMEOUT_S
    while not wanted.keys() <= admin.list_topics(timeout=_CALL_TIMEOUT_S).topics.keys():
        if time.monotonic() > deadline:
            raise DemoError("Kafka has created the topics, and does not know them")
        time.sleep(0.05)


def _delete_topics(admin: AdminClient, names: Names) -> None:
    topics = list(names.kafka_partitions())
    with _kafka_errors("deleted"):
        for deleted in admin.delete_topics(topics, request_timeout=_CALL_TIMEOUT_S).values():
            deleted.result()


@contextmanager
def _kafka_errors(what: str) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise DemoError(f"Kafka has not {what} the demo's topics: {reason_of(error.args[0])}") from None
