import json
import re
import sys
import time
import uuid

import pytest
from confluent_kafka.admin import AdminClient

from tests.cli.conftest import ENOUGH, Command
from tests.support.kafka import Kafka, MakeTopic, wait_until

NOWHERE = {
    "TRACKER_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "TRACKER_DATABASE_URL": "postgresql://u:hush@127.0.0.1:1/x",
}


def test_settings_are_shown_with_their_origin(bare_command: Command) -> None:
    result = bare_command("config", **ENOUGH, CAF_WORKER_MAX_BATCH_SIZE="5")
    assert result.status == 0
    assert "TRACKER_BATCH_SIZE=5  # CAF_WORKER_MAX_BATCH_SIZE" in result.lines
    assert "TRACKER_TOPICS=tracking  # default" in result.lines


def test_each_setting_is_a_line_also_where_its_value_has_several(bare_command: Command) -> None:
    result = bare_command("config", **{**ENOUGH, "TRACKER_KAFKA_SSL_CA_PEM": "a\nb"})
    assert 'TRACKER_KAFKA_SSL_CA_PEM="a\\nb"  # TRACKER_KAFKA_SSL_CA_PEM' in result.lines


def test_terminal_gets_a_table(bare_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    result = bare_command("config", **ENOUGH, TRACKER_WORKERS="3", TERM="dumb")
    assert result.lines[0].split() == ["Variable", "Value", "Origin"]
    assert ["TRACKER_WORKERS", "3", "set"] in [line.split() for line in result.lines]


def test_secrets_are_masked(bare_command: Command) -> None:
    for arguments in (["config"], ["config", "--json"]):
        result = bare_command(*arguments, **ENOUGH, TRACKER_KAFKA_SASL_PASSWORD="hush")
        assert "hush" not in str(result)


def test_json_is_one_object_a_line(bare_command: Command) -> None:
    result = bare_command("config", "--json", **ENOUGH, TRACKER_WORKERS="3")
    rows = {row["name"]: row for row in map(json.loads, result.lines)}
    assert rows["TRACKER_WORKERS"] == {
        "name": "TRACKER_WORKERS",
        "value": "3",
        "origin": "TRACKER_WORKERS",
        "default": "the number of CPUs that the process may use",
        "meaning": "Worker processes of one `tracker run`.",
    }


def test_warnings_go_to_stderr(bare_command: Command) -> None:
    result = bare_command("config", **ENOUGH)
    (warning,) = result.err_lines
    assert warning.startswith("Warning: The password for PostgreSQL goes to db")


def test_wrong_settings_are_reported_on_stderr_one_a_line_with_status_2(bare_command: Command) -> None:
    result = bare_command("config", **ENOUGH, TRACKER_WORKERS="many", TRACKER_KAFKA_ACKS="0")
    assert (result.status, result.lines) == (2, [])
    assert len(result.err_lines) == 2


def test_check_says_why_nothing_answers(bare_command: Command) -> None:
    result = bare_command("config", "--check", **NOWHERE)
    assert result.status == 1
    kafka, postgresql = result.err_lines
    assert kafka.startswith("Kafka does not answer: 127.0.0.1:1/bootstrap: ")
    assert kafka.endswith("failed: Connection refused.")
    assert postgresql.startswith("PostgreSQL is not available")
    assert "hush" not in postgresql


def test_check_as_json_is_one_finding_a_line(bare_command: Command) -> None:
    result = bare_command("config", "--check", "--json", **NOWHERE)
    findings = [json.loads(line) for line in result.lines[-2:]]
    assert [(finding["check"], finding["good"]) for finding in findings] == [
        ("kafka", False),
        ("postgresql", False),
    ]
    assert result.err_lines == []


def test_check_is_good_where_all_is_there(
    bare_command: Command, bootstrap_servers: str, database_url: str, topic: MakeTopic, admin: AdminClient
) -> None:
    tracking, dead_letters = topic("tracking", partitions=3), topic("dead")
    while not {tracking, dead_letters} <= admin.list_topics(timeout=10).topics.keys():
        pass  # a broker tells of a new topic a moment after the controller has made it
    result = bare_command(
        "config",
        "--check",
        TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
        TRACKER_DATABASE_URL=database_url,
        TRACKER_TOPICS=tracking,
        TRACKER_DEAD_LETTER_TOPIC=dead_letters,
    )
    assert result.err_lines == []
    assert result.status == 0
    assert f"The tracking topic {tracking} has 3 Kafka partitions." in result.lines
    assert f"The dead-letter topic {dead_letters} has 1 Kafka partition." in result.lines
    assert "The schema is this program's." in result.lines


def test_check_warns_of_fewer_kafka_partitions_than_workers(
    bare_command: Command, topic: MakeTopic, bootstrap_servers: str, database_url: str
) -> None:
    result = bare_command(
        "config",
        "--check",
        TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
        TRACKER_DATABASE_URL=database_url,
        TRACKER_TOPICS=f"{topic(partitions=1)},{topic(partitions=2)}",
        TRACKER_DEAD_LETTER_TOPIC=topic(partitions=1),
        TRACKER_WORKERS="4",
    )
    assert (result.status, result.err_lines) == (0, [])
    [warning] = [line for line in result.lines if line.startswith("Warning: ")]
    assert "fewer Kafka partitions (3) than TRACKER_WORKERS (4)" in warning


def test_check_says_which_topics_and_schema_are_missing(
    bare_command: Command, bootstrap_servers: str, empty_database_url: str
) -> None:
    result = bare_command(
        "config",
        "--check",
        TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
        TRACKER_DATABASE_URL=empty_database_url,
        TRACKER_TOPICS="no-such-topic",
        TRACKER_DEAD_LETTER_TOPIC="no-such-dead-letters",
    )
    assert result.status == 1
    assert result.err_lines == [
        "The tracking topic no-such-topic is missing: create it with `tracker topics --create`.",
        "The dead-letter topic no-such-dead-letters is missing: create it with `tracker topics --create`.",
        "The database has no tracker schema yet: run 'tracker migrate'.",
    ]


def test_check_says_that_a_database_does_not_exist(
    bare_command: Command, bootstrap_servers: str, empty_database_url: str
) -> None:
    result = bare_command(
        "config",
        "--check",
        TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
        TRACKER_DATABASE_URL=empty_database_url.replace("dbname=test_", "dbname=other_"),
    )
    assert 'database "other_' in result.err_lines[-1]
    assert result.err_lines[-1].endswith("does not exist.")


def test_a_wrong_clock_is_reported(
    bare_command: Command, bootstrap_servers: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    monkeypatch.setattr("tracker.store.clock.time.time", lambda: now() + 7_200)
    result = bare_command(
        "config",
        "--check",
        TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
        TRACKER_DATABASE_URL=database_url,
    )
    assert result.status == 1
    assert any(
        re.match(r"This machine's clock is 7,\d{3} s ahead of PostgreSQL's", line)
        for line in result.err_lines
    )


def test_a_topic_that_is_not_fit_for_dead_letters_is_reported(
    bare_command: Command, bootstrap_servers: str, database_url: str
) -> None:
    kafka = Kafka(bootstrap_servers)
    topic = f"dead-letters-{uuid.uuid4().hex[:12]}"
    kafka.create({topic: 1}, **{"cleanup.policy": "compact", "max.message.bytes": "5000"})
    result = bare_command(
        "config",
        "--check",
        TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
        TRACKER_DATABASE_URL=database_url,
        TRACKER_TOPICS=topic + "-tracking",
        TRACKER_DEAD_LETTER_TOPIC=topic,
    )
    said = [line for line in result.err_lines if f"The dead-letter topic {topic} is not fit: " in line]
    assert ["compacted" in said[0], "5,000 bytes" in said[1]] == [True, True]


def create(kafka: Kafka, topic: str, **config: str) -> None:
    """Make a topic, and wait until the broker tells of it."""
    kafka.create({topic: 1}, **config)
    wait_until(lambda: topic in kafka.admin.list_topics(timeout=30).topics, "the topic")


@pytest.mark.parametrize("policy", ["", "compact", "delete", "compact,delete"])
def test_the_topic_of_states_may_be_missing_and_must_be_compacted(
    bare_command: Command, bootstrap_servers: str, database_url: str, topic: MakeTopic, policy: str
) -> None:
    tracking, letters = topic("tracking"), topic("dead")
    states = f"{letters}.state"
    kafka = Kafka(bootstrap_servers)
    if policy:
        create(kafka, states, **{"cleanup.policy": policy})
    result = bare_command(
        "config",
        "--check",
        TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
        TRACKER_DATABASE_URL=database_url,
        TRACKER_TOPICS=tracking,
        TRACKER_DEAD_LETTER_TOPIC=letters,
        TRACKER_WORKERS="1",
    )
    [said] = [line for line in (*result.lines, *result.err_lines) if f"The topic of states {states} " in line]
    wrong = f"has cleanup.policy={policy}, so it forgets what was replayed or dropped: set cleanup.policy="
    expected = {
        "": "is missing: the first replay or drop creates it.",
        "compact": "is compacted, and may be written to.",
    }.get(policy, f"{wrong}compact.")
    assert said == f"The topic of states {states} {expected}"
    is_good = policy in {"", "compact"}
    assert (result.status, said in result.lines) == (0 if is_good else 1, is_good)
    assert (states in kafka.admin.list_topics(timeout=30).topics) == bool(policy)


def test_a_topic_of_states_that_takes_no_messages_is_reported(
    bare_command: Command, bootstrap_servers: str, database_url: str, topic: MakeTopic
) -> None:
    letters = topic("dead")
    states = f"{letters}.state"
    settings = {"cleanup.policy": "compact", "min.insync.replicas": "2"}
    create(Kafka(bootstrap_servers), states, **settings)
    result = bare_command(
        "config",
        "--check",
        TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
        TRACKER_DATABASE_URL=database_url,
        TRACKER_TOPICS=topic("tracking"),
        TRACKER_DEAD_LETTER_TOPIC=letters,
    )
    assert result.status == 1
    [said] = result.err_lines
    assert said.startswith(f"The topic {states} takes no messages: min.insync.replicas is 2")
