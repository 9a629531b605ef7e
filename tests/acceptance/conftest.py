"""Fixtures of the acceptance tests: the contract, on the real Kafka, PostgreSQL, workers and scheduler."""

import uuid
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from psycopg import sql

from tests.support.deployment_fixtures import deploy, running, tracker
from tests.support.redelivery import failing_publish, redeliver
from tracker.kafka import committed, sent_number
from tracker.kafka.producer import BatchProducer
from tracker.kafka.sent_number import SentNumber
from tracker.stack import LocalStack
from tracker.store import grants
from tracker.store.migrate import migrate
from tracker.store.session import in_transaction

__all__ = ["deploy", "failing_publish", "redeliver", "running", "tracker"]

_ASKS_KAFKA = (
    (AdminClient, "describe_cluster"),
    (AdminClient, "describe_topics"),
    (AdminClient, "describe_configs"),
    (AdminClient, "list_topics"),
    (committed, "ask_committed"),
    (sent_number, "ask_committed"),
    (SentNumber, "commit"),
    (BatchProducer, "start"),
    (BatchProducer, "publish"),
)


@pytest.fixture
def stack_of_its_own() -> Iterator[LocalStack]:
    """Servers that the test may stop."""
    with LocalStack(kafka_heap="512m") as stack:
        migrate(stack.database_url)
        yield stack


@pytest.fixture(autouse=True)
def kafka_is_never_asked_within_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a thread asks Kafka while it has a database transaction open."""
    for owner, name in _ASKS_KAFKA:
        monkeypatch.setattr(owner, name, _guarded(name, getattr(owner, name)))


def _guarded(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def guarded(*arguments: Any, **named: Any) -> Any:
        assert not in_transaction(), f"{name} is called within a database transaction"
        return call(*arguments, **named)

    return guarded


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    """Each way of delivery. A module whose rules hold for both makes its `tracker` with it."""
    return str(request.param)


@pytest.fixture
def role(database_url: str) -> Iterator[str]:
    """A role of the database with the rights that the tracker needs, and the password `secret`."""
    name = f"role_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(sql.Identifier(name)))
        grants.grant(database_url, [(name, grants.RUN)])
        try:
            yield name
        finally:
            connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))
