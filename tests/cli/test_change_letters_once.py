"""Each dead letter is replayed once: after a kill, beside another command, after Ctrl-C, without Kafka."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Command, names, use
from tests.support.dead_letters import SOURCE, DeadLetterTopic
from tests.support.kafka import DEADLINE_S, Kafka, MakeTopic, wait_until
from tests.support.program import ROOT
from tracker.failpoints import VARIABLE
from tracker.kafka.bulk_sender import BulkSender
from tracker.kafka.record_reader import RecordReader
from tracker.messages.dead_letter import Source
from tracker.stack import LocalStack
from tracker.stack.server import clean_environment

VALUES = [b"%04d" % n for n in range(1_300)]  # three transactions
BEFORE, AFTER = "letters-before-kafka-commit", "letters-after-kafka-commit"


@pytest.fixture
def source(topic: MakeTopic) -> Source:
    return SOURCE._replace(topic=topic("tracking", partitions=3), partition=1)


@pytest.fixture
def many(dead: DeadLetterTopic, source: Source) -> DeadLetterTopic:
    """A topic with dead letters of three transactions."""
    dead.add_many(VALUES, source=source)
    return dead


class Replay:
    """A command that runs in a process of its own; what it does at a failpoint can be set."""

    def __init__(self, tmp_path: Path, failpoint: str = "") -> None:
        (tmp_path / "failpoints").write_text(failpoint)
        own = {name: text for name, text in os.environ.items() if name.startswith("TRACKER_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tracker", "dead-letters", "replay", "--all-matching"],
            env=clean_environment(PYTHONPATH=str(ROOT), **own) | {VARIABLE: str(tmp_path / "failpoints")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_frozen(self) -> None:
        """Wait for what the failpoint `stop` does."""

        def state() -> str:
            return Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(") ")[2][0]

        wait_until(lambda: state() == "T", "the command frozen")

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; return the exit status, stdout and stderr."""
        out, err = self._process.communicate(timeout=DEADLINE_S)
        assert "Traceback" not in err, err
        return self._process.returncode, out, err

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def running(tmp_path: Path, failpoint: str = "") -> Iterator[Replay]:
    with closing(Replay(tmp_path, failpoint)) as replay:
        yield replay


def require_each_once(dead: DeadLetterTopic, source: Source, letters: Command) -> None:
    """Fail unless a reader of committed records finds each record once, and no letter is open."""
    with closing(Kafka(dead.bootstrap_servers)) as kafka:
        kafka.wait_for_markers(source.topic)
        assert [record.value for record in kafka.read(source.topic)] == VALUES
    assert names(letters("list", "--json")) == []


@pytest.mark.parametrize(("point", "done"), [(BEFORE, 500), (AFTER, 1_000)])
def test_a_command_that_is_killed_and_run_again_sends_each_once(
    letters: Command, many: DeadLetterTopic, source: Source, tmp_path: Path, point: str, done: int
) -> None:
    with running(tmp_path, f"{point} kill 2") as replay:
        assert replay.end()[0] == -signal.SIGKILL
    with closing(Kafka(many.bootstrap_servers)) as kafka:
        assert [record.value for record in kafka.read(source.topic)] == VALUES[:done]
    again = letters("replay", "--all-matching")
    assert (again.status, again.out) == (0, f"Replayed {1_300 - done:,} of {1_300 - done:,} dead letters.\n")
    require_each_once(many, source, letters)


@pytest.mark.parametrize(("point", "done"), [(BEFORE, 500), (AFTER, 1_000)])
def test_an_earlier_command_that_wakes_up_sends_nothing_more(
    letters: Command, many: DeadLetterTopic, source: Source, tmp_path: Path, point: str, done: int
) -> None:
    with running(tmp_path, f"{point} stop 2") as replay:
        replay.wait_until_frozen()
        assert letters("replay", "--all-matching").status == 0
        replay.signal(signal.SIGCONT)
        status, out, err = replay.end()
    assert status == 1
    assert "Replayed" not in out
    assert "A later command took this one's place" in err
    assert f"{done:,} of 1,300 dead letters were replayed until then" in err
    require_each_once(many, source, letters)


def test_two_commands_at_once_send_each_once(
    letters: Command, many: DeadLetterTopic, source: Source, tmp_path: Path
) -> None:
    with running(tmp_path) as one, running(tmp_path) as other:
        statuses = [replay.end()[0] for replay in (one, other)]
    assert 0 in statuses
    require_each_once(many, source, letters)


@pytest.mark.parametrize("again", [False, True])
def test_a_command_that_connects_sees_what_others_have_done_until_then(
    letters: Command,
    many: DeadLetterTopic,
    source: Source,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    again: bool,
) -> None:
    """It connects again to find out which messages Kafka refuses."""
    refused = many.add(b"x" * 9_000, source=source, kafka_partition=1)
    with closing(Kafka(many.bootstrap_servers)) as kafka:
        kafka.configure(source.topic, **{"max.message.bytes": "5000"})
    connect: Callable[..., None] = BulkSender.connect
    others: list[tuple[int, str, str]] = []

    def connect_late(sender: BulkSender, *, one_by_one: bool = False) -> None:
        if one_by_one is again and not others:
            with running(tmp_path) as other:
                others.append(other.end())
        connect(sender, one_by_one=one_by_one)

    monkeypatch.setattr(BulkSender, "connect", connect_late)
    done = letters("replay", "--all-matching")
    [(status, out, _)] = others
    assert (status, out.splitlines()[-1]) == (1, "Replayed 1,300 of 1,301 dead letters.")
    assert (done.status, done.out) == (1, "Replayed 0 of 1,301 dead letters.\n")
    assert f"Left {many.name}:0:0 and 1,299 more: it was replayed before." in done.err_lines
    assert f"Left {refused}: '{source.topic}' does not take it" in done.err
    with closing(Kafka(many.bootstrap_servers)) as kafka:
        assert [record.value for record in kafka.read(source.topic)] == VALUES
    assert names(letters("list", "--json")) == [refused]


def test_ctrl_c_says_how_many_are_done_and_the_next_command_does_the_rest(
    letters: Command, many: DeadLetterTopic, source: Source, tmp_path: Path
) -> None:
    with running(tmp_path, f"{BEFORE} stop 2") as replay:
        replay.wait_until_frozen()
        replay.signal(signal.SIGINT)
        replay.signal(signal.SIGCONT)
        status, out, err = replay.end()
    assert (status, out.splitlines()[-1]) == (130, "Replayed 1,000 of 1,300 dead letters.")
    assert "Stopped, 1,000 of 1,300 dead letters were replayed until then; do it again for the rest" in err
    assert letters("replay", "--all-matching").out == "Replayed 300 of 300 dead letters.\n"
    require_each_once(many, source, letters)


def test_ctrl_c_at_the_question_changes_nothing(
    letters: Command, many: DeadLetterTopic, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press() -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("tracker.cli.asking.is_terminal", press)
    stopped = letters("drop", "--all-matching")
    assert (stopped.status, stopped.out) == (130, "")
    assert stopped.err.endswith("Stopped, nothing was dropped.\n")
    assert len(names(letters("list", "--limit", "0", "--json"))) == len(VALUES)


def test_a_second_ctrl_c_ends_it_at_once(
    letters: Command, many: DeadLetterTopic, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[str] = []
    before = signal.getsignal(signal.SIGINT)

    def press(point: str) -> None:
        reached.append(point)
        if len(reached) == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr("tracker.kafka.bulk_sender.reach", press)
        stopped = letters("replay", "--all-matching")
    assert (stopped.status, stopped.out) == (130, "Replayed 500 of 1,300 dead letters.\n")
    assert signal.getsignal(signal.SIGINT) is before
    assert letters("replay", "--all-matching").out == "Replayed 800 of 800 dead letters.\n"
    require_each_once(many, source, letters)


@pytest.fixture
def stack_of_its_own() -> Iterator[LocalStack]:
    """A Kafka that the test may stop."""
    with LocalStack(kafka_heap="512m") as stack:
        yield stack


@pytest.mark.timeout(240)
def test_kafka_goes_away_in_the_middle(
    bare_command: Command, stack_of_its_own: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers, source = stack_of_its_own.bootstrap_servers, SOURCE._replace(partition=0)
    assert stack_of_its_own.kafka is not None
    [broker] = stack_of_its_own.kafka.brokers
    with closing(Kafka(servers)) as kafka:
        kafka.create({"dead": 1, source.topic: 1})
    dead = DeadLetterTopic("dead", servers)
    dead.add_many(VALUES, source=source)
    letters = use(bare_command, monkeypatch, servers, dead.name)
    with monkeypatch.context() as patch:
        patch.setattr("tracker.kafka.record_reader._SILENCE_TIMEOUT_S", 2.0)
        read_backwards: Callable[..., Iterator[object]] = RecordReader.read_backwards

        def stop_after_some(*arguments: object) -> Iterator[object]:
            for number, kept in enumerate(read_backwards(*arguments)):
                if number == 300:
                    broker.kill()
                yield kept

        patch.setattr(RecordReader, "read_backwards", stop_after_some)
        listed = letters("list", "--limit", "0", "--json")
    assert (listed.status, len(listed.objects) >= 300) == (1, True)
    assert "Kafka does not answer" in listed.err
    assert listed.err.count("\n") == 1
    broker.start()

    def kill_after(point: str) -> None:
        if point == AFTER:
            broker.kill()

    with monkeypatch.context() as patch:
        patch.setattr("tracker.kafka.bulk_sender._TIMEOUT_S", 3.0)
        patch.setattr("tracker.kafka.bulk_sender._CALL_TIMEOUT_S", 1.0)
        patch.setattr("tracker.kafka.bulk_sender.reach", kill_after)
        stopped = letters("replay", "--all-matching")
    assert (stopped.status, stopped.out) == (1, "")
    assert "Kafka does not answer" in stopped.err
    assert "500 of 1,300 dead letters were replayed until then" in stopped.err
    broker.start()
    assert letters("replay", "--all-matching").out == "Replayed 800 of 800 dead letters.\n"
    require_each_once(dead, source, letters)
