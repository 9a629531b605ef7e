"""Runs the command line in the tests' own process; a dead-letter topic for it."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from tests.support.dead_letters import DeadLetterTopic
from tests.support.kafka import MakeTopic
from tracker.cli import main


class Result(NamedTuple):
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def err_lines(self) -> list[str]:
        return self.err.splitlines()

    @property
    def objects(self) -> list[Any]:
        return [json.loads(line) for line in self.lines]


Command = Callable[..., Result]

ENOUGH = {
    "TRACKER_KAFKA_BOOTSTRAP_SERVERS": "broker:9092",
    "TRACKER_DATABASE_URL": "postgresql://u:hush@db/x",
}
"""The variables that `bare_command` needs where it asks no server."""


@pytest.fixture
def bare_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``tracker`` with these arguments, with these variables and no others of ours; `stdin` is bytes."""
    for name in os.environ:
        if name.startswith(("TRACKER_", "CAF_", "JOB_SERVICE_", "PG")):
            monkeypatch.delenv(name)

    def run(*arguments: str, stdin: bytes = b"", **variables: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["tracker", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with monkeypatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value)
            status = main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Result(status, out, err)

    return run


@pytest.fixture
def command(bare_command: Command, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Command:
    """Run ``tracker`` with these arguments on the test's database."""
    monkeypatch.setenv("TRACKER_DATABASE_URL", database_url)
    return bare_command


def use(command: Command, monkeypatch: pytest.MonkeyPatch, servers: str, topic: str) -> Command:
    monkeypatch.setenv("TRACKER_KAFKA_BOOTSTRAP_SERVERS", servers)
    monkeypatch.setenv("TRACKER_DEAD_LETTER_TOPIC", topic)
    monkeypatch.setenv("TRACKER_GROUP_ID", f"group-of-{topic}")  # a later replay of a group ends an earlier

    def run(*arguments: str, **options: Any) -> Any:
        return command("dead-letters", *arguments, **options)

    return run


@pytest.fixture
def dead(topic: MakeTopic, bootstrap_servers: str) -> DeadLetterTopic:
    """A dead-letter topic with three Kafka partitions."""
    any_time = {"message.timestamp.after.max.ms": str(2**63 - 1), "retention.ms": "-1"}
    return DeadLetterTopic(topic("dead", partitions=3, **any_time), bootstrap_servers)


@pytest.fixture
def letters(
    bare_command: Command, monkeypatch: pytest.MonkeyPatch, bootstrap_servers: str, dead: DeadLetterTopic
) -> Iterator[Command]:
    """Run `tracker dead-letters` with these arguments."""
    return use(bare_command, monkeypatch, bootstrap_servers, dead.name)  # type: ignore[return-value]


def names(result: Any) -> list[str]:
    """Return which dead letters a command has listed."""
    assert result.status == 0, result
    return [f"{row['topic']}:{row['kafkaPartition']}:{row['offset']}" for row in result.objects]
