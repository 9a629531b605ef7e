"""What is waited for: each thread's own, the same words everywhere, and not the same line again and again."""

import threading
import time
from collections.abc import Iterator
from io import StringIO

import orjson
import pytest

from tracker import logs, obstacles
from tracker.obstacles import Cause, Obstacle, Obstacles


@pytest.fixture
def log() -> Iterator[StringIO]:
    stream = StringIO()
    logs.configure("test", logs.LogOptions("json", "info"), stream)
    yield stream
    logs.configure("test")


def lines(log: StringIO) -> list[tuple[str, str]]:
    """Return event and reason of each line."""
    found = [orjson.loads(line) for line in log.getvalue().splitlines()]
    return [(line["event"], line.get("reason", line.get("cause"))) for line in found]


def in_thread(name: str, call: object) -> None:
    thread = threading.Thread(target=call, name=name)  # type: ignore[arg-type]
    thread.start()
    thread.join()


def test_a_thread_that_continues_does_not_hide_what_another_waits_for() -> None:
    found = Obstacles()
    in_thread("apply", lambda: found.report(Cause.DATABASE, "away"))
    in_thread("publish", found.clear)
    assert [str(each) for each in found.now()] == ["waiting for PostgreSQL: away"]
    in_thread("apply", found.clear)
    assert found.now() == ()


def test_an_obstacle_that_two_threads_report_is_listed_once_and_blocks_if_either_says_so() -> None:
    found = Obstacles()
    found.observe("watch", [Obstacle(Cause.DESTINATION, "it has no leader", blocks=False)])
    found.observe("producer", [Obstacle(Cause.DESTINATION, "it has no leader")])
    assert found.now() == (Obstacle(Cause.DESTINATION, "it has no leader"),)


def test_the_log_has_the_same_words_once_and_says_when_it_is_over(log: StringIO) -> None:
    found = Obstacles()
    for _ in range(100):
        found.report(Cause.KAFKA, "connection refused")
    [obstacle] = found.now()
    [(event, reason)] = lines(log)
    assert str(obstacle) == f"{event}: {reason}"
    found.clear()
    assert lines(log)[1:] == [("no longer waiting", "kafka")]


def test_each_reason_is_logged_that_is_shown(log: StringIO) -> None:
    found = Obstacles()
    shown: list[str] = []
    for reason in ["it is read-only", "it refuses the password", "it refuses the password", "it is away"]:
        found.report(Cause.DATABASE, reason)
        shown += map(str, found.now())
    assert [f"{event}: {reason}" for event, reason in lines(log)] == list(dict.fromkeys(shown))


def test_reasons_that_alternate_do_not_fill_the_log(log: StringIO) -> None:
    found = Obstacles()
    for _ in range(100):
        found.report(Cause.KAFKA, "broker 1 refuses the connection")
        found.report(Cause.KAFKA, "broker 2 refuses the connection")
    assert len(lines(log)) == 2


def test_a_reason_that_comes_back_is_logged_again_after_a_while(
    log: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Obstacles()
    monkeypatch.setattr(obstacles, "_CHANGED_S", 0.0)
    for reason in ["it is away", "it is read-only", "it is away", "it is away"]:
        found.report(Cause.DATABASE, reason)
    assert [reason for _, reason in lines(log)] == ["it is away", "it is read-only", "it is away"]


def test_work_that_stalls_without_a_known_reason_is_logged_once_and_until_it_continues(
    log: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Obstacles()
    monkeypatch.setattr(obstacles, "STALLED_S", 0.0)
    for _ in range(2):
        [shown] = found.now_or_stall(time.monotonic())
    assert found.now_or_stall(None) == ()
    [(event, reason), after] = lines(log)
    assert str(shown) == f"{event}: {reason}"
    assert after == ("no longer waiting", "unknown")


def test_one_that_stays_is_logged_again_after_a_while(log: StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Obstacles()
    found.report(Cause.KAFKA, "connection refused")
    monkeypatch.setattr(obstacles, "_REPEAT_S", 0.0)
    found.report(Cause.KAFKA, "connection refused")
    assert len(lines(log)) == 2


def test_one_that_comes_and_goes_does_not_fill_the_log(log: StringIO) -> None:
    found = Obstacles()
    for _ in range(100):
        found.report(Cause.KAFKA, "connection refused")
        found.clear()
    assert len(lines(log)) == 2
