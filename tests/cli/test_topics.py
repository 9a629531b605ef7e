"""`tracker topics`: which are there, and those that are missing made."""

import uuid

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from tests.cli.conftest import Command
from tests.support.kafka import MakeTopic


@pytest.fixture
def names(command: Command, monkeypatch: pytest.MonkeyPatch, bootstrap_servers: str) -> tuple[str, str, str]:
    """Two tracking topics and a dead-letter topic that are not there, in the environment of the command."""
    del command  # it has cleared the environment
    first, second, dead = (f"{kind}-{uuid.uuid4().hex[:8]}" for kind in ("first", "second", "dead"))
    monkeypatch.setenv("TRACKER_KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    monkeypatch.setenv("TRACKER_TOPICS", f"{first},{second}")
    monkeypatch.setenv("TRACKER_DEAD_LETTER_TOPIC", dead)
    return first, second, dead


def test_missing_topics_are_shown_and_not_created(
    command: Command, names: tuple[str, str, str], admin: AdminClient
) -> None:
    done = command("topics")
    assert done.status == 0
    assert [text.split()[0] for text in done.lines[1:]] == [*names, f"{names[2]}.state"]
    assert all("missing" in text for text in done.lines[1:])
    assert not set(names) & set(admin.list_topics(timeout=10).topics)


def policy(admin: AdminClient, topic: str) -> str:
    [answer] = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
    found: str = answer.result(timeout=30)["cleanup.policy"].value
    return found


def test_missing_topics_are_created(
    command: Command, names: tuple[str, str, str], admin: AdminClient
) -> None:
    first, second, dead = names
    done = command("topics", "--create", "--partitions", "3", "--replication-factor", "1", "--json")
    assert done.objects == [
        {"topic": name, "role": role, "exists": True, "created": True, "partitions": 3}
        for name, role in (
            (first, "tracking"),
            (second, "tracking"),
            (dead, "dead letters"),
            (f"{dead}.state", "their states"),
        )
    ]
    found = admin.list_topics(timeout=10).topics
    assert [len(found[name].partitions) for name in names] == [3, 3, 3]
    assert {name: policy(admin, name) for name in (dead, f"{dead}.state")} == {
        dead: "delete",
        f"{dead}.state": "compact",
    }


def test_by_default_there_are_several_kafka_partitions_for_each_worker(
    command: Command, names: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKER_TOPICS", names[0])
    monkeypatch.setenv("TRACKER_WORKERS", "5")
    created = command("topics", "--create", "--json").objects
    assert [(row["topic"], row["partitions"]) for row in created] == [
        (names[0], 20),
        (names[2], 1),
        (f"{names[2]}.state", 1),
    ]
    monkeypatch.setenv("TRACKER_TOPICS", names[1])
    monkeypatch.setenv("TRACKER_WORKERS", "1")
    created = command("topics", "--create", "--json").objects
    assert [(row["topic"], row["partitions"]) for row in created] == [
        (names[1], 16),
        (names[2], 1),
        (f"{names[2]}.state", 1),
    ]


def test_topics_that_exist_stay_as_they_are(
    command: Command, names: tuple[str, str, str], topic: MakeTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    existing = topic("there", partitions=2)
    monkeypatch.setenv("TRACKER_TOPICS", existing)
    first, second = (command("topics", "--create", "--partitions", "5", "--json").objects for _ in range(2))
    assert [(row["topic"], row["created"], row["partitions"]) for row in first] == [
        (existing, False, 2),
        (names[2], True, 5),
        (f"{names[2]}.state", True, 5),
    ]
    assert [(row["exists"], row["created"]) for row in second] == [(True, False)] * 3


def test_topics_that_cannot_be_created_are_a_sentence(command: Command, names: tuple[str, str, str]) -> None:
    done = command("topics", "--create", "--replication-factor", "9")
    assert (done.status, done.out) == (1, "")
    assert "could not be created" in done.err
    assert names[0] in done.err


def test_brokers_that_do_not_answer_are_a_sentence(
    command: Command, names: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert names
    monkeypatch.setattr("tracker.kafka.inspection.TIMEOUT_S", 1.0)
    monkeypatch.setenv("TRACKER_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    done = command("topics")
    assert (done.status, done.out) == (1, "")
    assert "Kafka does not answer" in done.err


def test_without_brokers_the_variable_is_named(
    command: Command, names: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert names
    monkeypatch.delenv("TRACKER_KAFKA_BOOTSTRAP_SERVERS")
    done = command("topics")
    assert done.status == 2
    assert "TRACKER_KAFKA_BOOTSTRAP_SERVERS" in done.err
