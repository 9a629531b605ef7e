"""`config --check` says what the brokers' and topics' settings do not allow, and which variable to set."""

import pytest
from confluent_kafka.admin import AdminClient

from tests.conftest import MakeTopic
from tracker.cli.limits import misfits
from tracker.settings import load


def found(admin: AdminClient, servers: str, **variables: str) -> list[str]:
    settings = load(
        {
            "TRACKER_KAFKA_BOOTSTRAP_SERVERS": servers,
            "TRACKER_DATABASE_URL": "postgresql://db/x",
            "TRACKER_WORKERS": "1",
            **variables,
        }
    )
    return list(misfits(settings, admin, admin.list_topics(timeout=10)))


@pytest.mark.parametrize(
    ("variable", "value", "limit"),
    [
        ("TRACKER_KAFKA_PRODUCER_TRANSACTION_TIMEOUT_MS", "1000000", "transaction.max.timeout.ms"),
        ("TRACKER_KAFKA_CONSUMER_SESSION_TIMEOUT_MS", "2000000", "group.max.session.timeout.ms"),
        ("TRACKER_KAFKA_CONSUMER_SESSION_TIMEOUT_MS", "1000", "group.min.session.timeout.ms"),
    ],
)
def test_what_the_brokers_do_not_allow_is_named_with_the_variable(
    admin: AdminClient, bootstrap_servers: str, variable: str, value: str, limit: str
) -> None:
    more = {"TRACKER_KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS": "300"}
    if variable.endswith("SESSION_TIMEOUT_MS"):
        more["TRACKER_KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS"] = "3000000"
    [sentence] = found(admin, bootstrap_servers, **{variable: value, **more})
    assert limit in sentence
    assert variable in sentence
    assert sentence.endswith(".")


def test_a_topic_that_takes_no_message_is_named(
    admin: AdminClient, bootstrap_servers: str, topic: MakeTopic
) -> None:
    name = topic("tracking", **{"min.insync.replicas": "2"})
    [sentence] = found(admin, bootstrap_servers, TRACKER_TOPICS=name)
    assert name in sentence
    assert "min.insync.replicas is 2, and it has 1 replica" in sentence


def test_nothing_is_said_of_what_fits(admin: AdminClient, bootstrap_servers: str) -> None:
    assert found(admin, bootstrap_servers) == []
