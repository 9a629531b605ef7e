import json
import os
import re
import sys
import time
import uuid
from collections.abc import Callable
from typing import NamedTuple

import pytest
from confluent_kafka.admin import AdminClient

from tests.support.kafka import Kafka, MakeTopic
from tracker.cli import main

ENOUGH = {
    "TRACKER_KAFKA_BOOTSTRAP_SERVERS": "broker:9092",
    "TRACKER_DATABASE_URL": "postgresql://u:hush@db/x",
}
NOWHERE = {
    "TRACKER_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "TRACKER_DATABASE_URL": "postgresql://u:hush@127.0.0.1:1/x",
}


class Result(NamedTuple):
    status: int
    out: list[str]
    err: list[str]


Tracker = Callable[..., Result]


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tracker:
    """Run the command line with these arguments, and with these variables and no others of ours."""

    def run(*arguments: str, **variables: str) -> Result:
        for name in os.environ:
            if name.startswith(("TRACKER_", "CAF_", "JOB_SERVICE_", "PG")):
                monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["tracker", *arguments])
        status = main()
        out, err = capsys.readouterr()
        return Result(status, out.splitlines(), err.splitlines())

    return run


def test_settings_are_shown_with_their_origin(tracker: Tracker) -> None:
    result = tracker("config", **ENOUGH, CAF_WORKER_MAX_BATCH_SIZE="5")
    assert result.status == 0
    assert "TRACKER_BATCH_SIZE=5  # CAF_WORKER_MAX_BATCH_SIZE" in result.out
    assert "TRACKER_TOPICS=tracking  # default" in result.out


def test_each_setting_is_a_line_also_where_its_value_has_several(tracker: Tracker) -> None:
    result = tracker("config", **{**ENOUGH, "TRACKER_KAFKA_SSL_CA_PEM": "a\nb"})
    assert 'TRACKER_KAFKA_SSL_CA_PEM="a\\nb"  # TRACKER_KAFKA_SSL_CA_PEM' in result.out


def test_terminal_gets_a_table(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    result = tracker("config", **ENOUGH, TRACKER_WORKERS="3", TERM="dumb")
    assert result.out[0].split() == ["Variable", "Value", "Origin"]
    assert ["TRACKER_WORKERS", "3", "set"] in [line.split() for line in result.out]


def test_secrets_are_masked(tracker: Tracker) -> None:
    for arguments in (["config"], ["config", "--json"]):
        result = tracker(*arguments, **ENOUGH, TRACKER_KAFKA_SASL_PASSWORD="hush")
        assert "hush" not in str(result)


def test_json_is_one_object_a_line(tracker: Tracker) -> None:
    result = tracker("config", "--json", **ENOUGH, TRACKER_WORKERS="3")
    rows = {row["name"]: row for row in map(json.loads, result.out)}
    assert rows["TRACKER_WORKERS"] == {
        "name": "TRACKER_WORKERS",
        "value": "3",
        "origin": "TRACKER_WORKERS",
        "default": "the number of CPUs that the process may use",
        "meaning": "Worker processes of one `tracker run`.",
    }


def test_warnings_go_to_stderr(tracker: Tracker) -> None:
    result = tracker("config", **ENOUGH)
    (warning,) = result.err
    assert warning.startswith("Warning: The password for PostgreSQL goes to db")


def test_wrong_settings_are_told_on_stderr_one_a_line_with_status_2(tracker: Tracker) -> None:
    result = tracker("config", **ENOUGH, TRACKER_WORKERS="many", TRACKER_KAFKA_ACKS="0")
    assert (result.status, result.out) == (2, [])
    assert len(result.err) == 2


def test_check_says_why_nothing_answers(tracker: Tracker) -> None:
    result = tracker("config", "--check", **NOWHERE)
    assert result.status == 1
    kafka, postgresql = result.err
    assert kafka.startswith("Kafka does not answer: 127.0.0.1:1/bootstrap: ")
    assert kafka.endswith("failed: Connection refused.")
    assert postgresql.startswith("PostgreSQL is not available")
    assert "hush" not in postgresql


def test_check_as_json_is_one_finding_a_line(tracker: Tracker) -> None:
    result = tracker("config", "--check", "--json", **NOWHERE)
    findings = [json.loads(line) for line in result.out[-2:]]
    assert [(finding["check"], finding["good"]) for finding in findings] == [
        ("kafka", False),
        ("postgresql", False),
    ]
    assert result.err == []


def test_check_is_good_where_all_is_there(
    tracker: Tracker, bootstrap_servers: str, database_url: str, topic: MakeTopic, admin: AdminClient
) -> None:
    tracking, dead_letters = topic("tracking", partitions=3), topic("dead")
    while not {tracking, dead_letters} <= admin.list_topics(timeout=10).topics.keys():
        pass  # a broker tells of a new topic a moment after the controller has made it
    result = tracker(
        "config",
        "--check",
        TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
        TRACKER_DATABASE_URL=database_url,
        TRACKER_TOPICS=tracking,
        TRACKER_DEAD_LETTER_TOPIC=dead_letters,
    )
    assert result.err == []
    assert result.status == 0
    assert f"The tracking topic {tracking} has 3 Kafka partitions." in result.out
    assert f"The dead-letter topic {dead_letters} has 1 Kafka partition." in result.out
    assert "The schema is this program's." in result.out


def test_check_warns_of_fewer_kafka_partitions_than_workers(
    tracker: Tracker, topic: MakeTopic, bootstrap_servers: str, database_url: str
) -> None:
    result = tracker(
        "config",
        "--check",
        TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
        TRACKER_DATABASE_URL=database_url,
        TRACKER_TOPICS=f"{topic(partitions=1)},{topic(partitions=2)}",
        TRACKER_DEAD_LETTER_TOPIC=topic(partitions=1),
        TRACKER_WORKERS="4",
    )
    assert (result.status, result.err) == (0, [])
    [warning] = [line for line in result.out if line.startswith("Warning: ")]
    assert "fewer Kafka partitions (3) than TRACKER_WORKERS (4)" in warning


def test_check_says_which_topics_and_schema_are_missing(
    tracker: Tracker, bootstrap_servers: str, empty_database_url: str
) -> None:
    result = tracker(
        "config",
        "--check",
        TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
        TRACKER_DATABASE_URL=empty_database_url,
        TRACKER_TOPICS="no-such-topic",
        TRACKER_DEAD_LETTER_TOPIC="no-such-dead-letters",
    )
    assert result.status == 1
    assert result.err == [
        "The tracking topic no-such-topic is missing: create it with `tracker topics --create`.",
        "The dead-letter topic no-such-dead-letters is missing: create it with `tracker topics --create`.",
        "The database has no tracker schema yet: run 'tracker migrate'.",
    ]


def test_check_says_that_a_database_does_not_exist(
    tracker: Tracker, bootstrap_servers: str, empty_database_url: str
) -> None:
    result = tracker(
        "config",
        "--check",
        TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
        TRACKER_DATABASE_URL=empty_database_url.replace("dbname=test_", "dbname=other_"),
    )
    assert 'database "other_' in result.err[-1]
    assert result.err[-1].endswith("does not exist.")


def test_a_clock_that_is_wrong_is_said(
    tracker: Tracker, bootstrap_servers: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    monkeypatch.setattr("tracker.store.clock.time.time", lambda: now() + 7_200)
    result = tracker(
        "config",
        "--check",
        TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
        TRACKER_DATABASE_URL=database_url,
    )
    assert result.status == 1
    assert any(
        re.match(r"This machine's clock is 7,\d{3} s ahead of PostgreSQL's", line) for line in result.err
    )


def test_a_topic_that_is_not_fit_for_dead_letters_is_said(
    tracker: Tracker, bootstrap_servers: str, database_url: str
) -> None:
    kafka = Kafka(bootstrap_servers)
    topic = f"dead-letters-{uuid.uuid4().hex[:12]}"
    kafka.create({topic: 1}, **{"cleanup.policy": "compact", "max.message.bytes": "5000"})
    result = tracker(
        "config",
        "--check",
        TRACKER_KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers,
        TRACKER_DATABASE_URL=database_url,
        TRACKER_TOPICS=topic + "-tracking",
        TRACKER_DEAD_LETTER_TOPIC=topic,
    )
    said = [line for line in result.err if f"The dead-letter topic {topic} is not fit: " in line]
    assert ["compacted" in said[0], "5,000 bytes" in said[1]] == [True, True]
