"""Log lines that name one job out of many."""

from typing import Any

import pytest
import structlog

from tracker import rate_limited_log
from tracker.rate_limited_log import RateLimitedLog


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limited(clock: Clock) -> RateLimitedLog:
    return RateLimitedLog(10.0, clock)


def note(limited: RateLimitedLog, job: str, reason: str = "stale", count: int = 1) -> None:
    limited.log("warning", "messages dropped", reason, lambda: {"job": job}, count)


def test_the_first_of_each_kind_is_logged_with_what_names_it(limited: RateLimitedLog) -> None:
    with structlog.testing.capture_logs() as lines:
        note(limited, "acme:a")
        note(limited, "acme:b", "cancelled")
        limited.log("info", "tasks dropped", "stale", lambda: {"job": "acme:c", "task": "1.2"})
    assert lines == [
        line("acme:a", "stale"),
        line("acme:b", "cancelled"),
        {
            "event": "tasks dropped",
            "log_level": "info",
            "reason": "stale",
            "job": "acme:c",
            "task": "1.2",
        },
    ]


def test_of_many_one_is_logged_in_each_interval_and_says_how_many_there_were(
    limited: RateLimitedLog, clock: Clock
) -> None:
    with structlog.testing.capture_logs() as lines:
        note(limited, "acme:a", count=3)
        for second in range(1, 10):
            clock.now = second
            note(limited, "acme:b", count=2)
        clock.now = 10.0
        note(limited, "acme:c")
        clock.now = 20.0
        note(limited, "acme:d")
    assert lines == [
        line("acme:a", "stale", occurrences=3),
        line("acme:c", "stale", occurrences=19),
        line("acme:d", "stale"),
    ]


def test_what_names_one_is_only_asked_for_where_a_line_is_logged(limited: RateLimitedLog) -> None:
    asked: list[str] = []

    def describe() -> dict[str, object]:
        asked.append("")
        return {}

    for _ in range(100):
        limited.log("warning", "messages dropped", "stale", describe)
    assert len(asked) == 1


def test_memory_stays_bounded(limited: RateLimitedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limited_log, "_KINDS", 5)
    for number in range(100):
        note(limited, "acme:a", reason=str(number))
    assert len(limited._kinds) <= 5


def line(job: str, reason: str, **more: Any) -> dict[str, Any]:
    return {"event": "messages dropped", "log_level": "warning", "reason": reason, "job": job, **more}
