"""`config --check` says what the brokers' and topics' settings do not allow, and which variable to set."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka.admin import AdminClient

from tests.support.kafka import MakeTopic
from tracker.diagnosis import limits
from tracker.diagnosis.limits import problems_of_limits, warnings_of_limits
from tracker.settings import Settings, load


def found(admin: AdminClient, servers: str, **variables: str) -> list[str]:
    return list(problems_of_limits(settings_of(servers, **variables), admin, admin.list_topics(timeout=10)))


def settings_of(servers: str, **variables: str) -> Settings:
    return load(
        {
            "TRACKER_KAFKA_BOOTSTRAP_SERVERS": servers,
            "TRACKER_DATABASE_URL": "postgresql://db/x",
            "TRACKER_WORKERS": "1",
            **variables,
        }
    )


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


def test_a_topic_that_takes_no_messages_is_named(
    admin: AdminClient, bootstrap_servers: str, topic: MakeTopic
) -> None:
    name = topic("tracking", **{"min.insync.replicas": "2"})
    [sentence] = found(admin, bootstrap_servers, TRACKER_TOPICS=name)
    assert name in sentence
    assert "min.insync.replicas is 2, and it has 1 replica" in sentence


@pytest.mark.parametrize(
    ("limits_of_brokers", "advice", "variables"),
    [
        (
            {"transaction.max.timeout.ms": 15_000},
            "TRACKER_KAFKA_PRODUCER_TRANSACTION_TIMEOUT_MS to 15000",
            {"TRACKER_KAFKA_PRODUCER_TRANSACTION_TIMEOUT_MS": "20000"},
        ),
        (
            {"group.max.session.timeout.ms": 10_000, "group.min.session.timeout.ms": 6_000},
            "TRACKER_KAFKA_CONSUMER_SESSION_TIMEOUT_MS to 10000",
            {"TRACKER_KAFKA_CONSUMER_SESSION_TIMEOUT_MS": "20000"},
        ),
        (
            {"group.min.session.timeout.ms": 30_000, "group.max.session.timeout.ms": 60_000},
            "TRACKER_KAFKA_CONSUMER_SESSION_TIMEOUT_MS to 30000",
            {"TRACKER_KAFKA_CONSUMER_SESSION_TIMEOUT_MS": "20000"},
        ),
        ({"group.max.size": 1}, "set TRACKER_WORKERS", {"TRACKER_WORKERS": "2"}),
        ({"offsets.retention.minutes": 60}, "raise it to a day", {}),
    ],
)
def test_brokers_that_allow_less_are_named_with_what_to_set(
    monkeypatch: pytest.MonkeyPatch, limits_of_brokers: dict[str, int], advice: str, variables: dict[str, str]
) -> None:
    monkeypatch.setattr(limits, "broker_numbers", lambda _admin, _broker_id: limits_of_brokers)
    monkeypatch.setattr(limits, "topic_numbers", lambda _admin, _topic: {})
    metadata = cast(Any, SimpleNamespace(brokers={1: None}, topics={}))
    [sentence] = problems_of_limits(
        settings_of("broker:9092", **variables), cast(AdminClient, None), metadata
    )
    assert next(iter(limits_of_brokers)) in sentence
    assert advice in sentence


def test_limits_that_fit_are_not_reported(admin: AdminClient, bootstrap_servers: str) -> None:
    assert found(admin, bootstrap_servers) == []


def test_sizes_of_messages_are_compared_with_what_topics_take(
    admin: AdminClient, bootstrap_servers: str, topic: MakeTopic
) -> None:
    small, large, fit = (
        topic("tracking", **{"max.message.bytes": size}) for size in ("5000", "5000000", "1048588")
    )
    tight, other = (topic(name, **{"max.message.bytes": "6000"}) for name in ("results", "other"))
    settings = settings_of(
        bootstrap_servers,
        TRACKER_TOPICS=f"{small},{large},{fit}",
        TRACKER_DESTINATIONS=f"{tight},{other[:-1]}*",
    )
    found = list(warnings_of_limits(settings, admin, admin.list_topics(timeout=10)))
    assert [
        (name in sentence, words in sentence)
        for sentence, name, words in zip(
            found,
            (small, large, tight),
            ("cannot be sent there", "set TRACKER_MAX_MESSAGE_BYTES=5000000", "become dead letters"),
            strict=True,
        )
    ] == [(True, True)] * 3


def test_sizes_that_fit_cause_no_warning(
    admin: AdminClient, bootstrap_servers: str, topic: MakeTopic
) -> None:
    settings = settings_of(bootstrap_servers, TRACKER_TOPICS=topic(), TRACKER_DESTINATIONS=topic())
    assert list(warnings_of_limits(settings, admin, admin.list_topics(timeout=10))) == []
