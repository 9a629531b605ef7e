"""Whatever error Kafka or its client answers a command with: a sentence, and no traceback."""

import os
import sys
from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from tracker.cli import main
from tracker.kafka.explain import explain, kafka_errors

CODES = {
    name: code
    for name, code in vars(KafkaError).items()
    if isinstance(code, int) and name.upper() == name and code != KafkaError.NO_ERROR
}


def test_there_are_many() -> None:
    assert len(CODES) > 150


@pytest.mark.parametrize("name", CODES)
def test_every_error_is_a_clause(name: str) -> None:
    plain = KafkaError(CODES[name])
    assert explain(plain).partition(": ")[2]
    assert "not answer" not in explain(plain) or CODES[name] < 0, "who refuses has answered"
    said = explain(KafkaError(CODES[name], "[thrd:main]: what it says (after 3ms in state CONNECT)\nmore"))
    assert said.endswith(": what it says")
    with pytest.raises(Exception, match="what it says"), kafka_errors("doing"):
        raise KafkaException(KafkaError(CODES[name], "what it says"))


def fails(code: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise KafkaException(KafkaError(code))

    return fail


@pytest.mark.parametrize("command", ["topics", "config --check"])
@pytest.mark.parametrize("at", ["list_topics", "__init__"])
def test_commands_say_a_sentence(
    command: str,
    at: str,
    database_url: str,
    bootstrap_servers: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in os.environ:
        if name.startswith(("TRACKER_", "CAF_", "JOB_SERVICE_", "PG")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TRACKER_DATABASE_URL", database_url)
    monkeypatch.setenv("TRACKER_KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    monkeypatch.setenv("TRACKER_TOPICS", "a-topic-that-nobody-has-made")
    monkeypatch.setattr(sys, "argv", ["tracker", *command.split()])
    for code in list(CODES.values())[::15]:
        monkeypatch.setattr(AdminClient, at, fails(code))
        status = main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert status == 0 or all(line.endswith(".") for line in err.splitlines()), (code, out, err)
