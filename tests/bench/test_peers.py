"""Peers: asked for by name, set up where they can be, and named in a sentence where they cannot."""

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.peers import environment
from bench.progress import ProgressDisplay
from bench.scenarios import SCENARIOS, usual_names
from bench.scenarios.peers import PEERS, set_up
from bench.servers import Servers
from bench.session import BenchSession, Options
from tracker.errors import StackError
from tracker.stack.lifetime import Watchdog

KAFKA_STREAMS = [peer for peer in PEERS if peer.name == "Kafka Streams"]
AIOKAFKA = [peer for peer in PEERS if peer.name == "aiokafka"]


@pytest.fixture(autouse=True)
def _nothing_is_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "BUILD", tmp_path / "build")


def test_they_are_measured_only_if_they_are_named() -> None:
    assert "peers" in SCENARIOS
    assert "peers" not in usual_names(quick=True) + usual_names(quick=False)


def test_a_missing_maven_is_a_sentence_and_leaves_the_peer_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    sentence = (
        "Not measured: Kafka Streams. It is built with Maven, but there is none on the PATH: install it (on"
        " Debian and Ubuntu: maven)."
    )
    assert set_up(KAFKA_STREAMS, lambda _: None) == ({}, [sentence])


def test_a_missing_compiler_is_a_sentence_and_leaves_the_peer_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mvn").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)

    sentence = (
        "Not measured: Kafka Streams. It needs the JDK of Java 17 or later, but there is no javac on the"
        " PATH: install it (on Debian and Ubuntu: openjdk-17-jdk-headless)."
    )
    assert set_up(KAFKA_STREAMS, lambda _: None) == ({}, [sentence])


def test_a_registry_that_cannot_be_reached_leaves_the_peer_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise StackError("Installing the peers with pip failed: ERROR: no route to host")

    monkeypatch.setattr(environment, "run_to_end", unreachable)

    assert set_up(AIOKAFKA, lambda _: None) == (
        {},
        ["Not measured: aiokafka. Installing the peers with pip failed: ERROR: no route to host."],
    )


def test_they_are_not_measured_on_given_servers() -> None:
    given = Servers({"bootstrap.servers": "127.0.0.1:9"}, "")
    options = Options(rounds=1, messages=1, workers=1, seed=1, batch_size=1, against=True)
    watchdog = Watchdog()

    try:
        with pytest.raises(BenchError, match="only on a Kafka that is started for the run"):
            SCENARIOS["peers"].run(BenchSession(given, watchdog, options, ProgressDisplay(), environ={}))
    finally:
        watchdog.close()
