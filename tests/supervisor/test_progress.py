"""When a child counts as stuck."""

import time

import pytest

from tracker import logs
from tracker.lifeline import ChildReport, ChildStatus
from tracker.supervisor.children import Child, ChildSpec, RestartPolicy
from tracker.supervisor.totals import Totals


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Child:
    """A child as it is just after its start; its process is not needed to judge it."""
    restart_policy = RestartPolicy(stuck_after_s=300)
    made = Child(ChildSpec("worker-0", "x:y"), Totals(), restart_policy, logs.LogOptions(), lambda: None)
    monkeypatch.setattr(made, "process", object())
    made._reported_s = made._work_since_s = time.monotonic()
    return made


def report(child: Child, *, has_work: bool, progress_s: float) -> None:
    child._handle(ChildReport(ChildStatus(True, has_work, progress_s), {}))


def test_idle_for_long_is_not_stuck(child: Child) -> None:
    now_s = time.monotonic()
    report(child, has_work=False, progress_s=now_s - 10_000)
    assert child.stalled_s(now_s) == 0


def test_work_that_comes_after_a_long_idle_time_has_its_full_time(child: Child) -> None:
    now_s = time.monotonic()
    report(child, has_work=False, progress_s=now_s - 10_000)
    report(child, has_work=True, progress_s=now_s - 10_000)
    assert child.stalled_s(now_s) < 1
    assert not child.is_stuck(now_s + 299)
    assert child.is_stuck(now_s + 301)


def test_progress_restarts_the_time(child: Child) -> None:
    now_s = time.monotonic()
    report(child, has_work=True, progress_s=now_s)
    report(child, has_work=True, progress_s=now_s + 200)
    assert not child.is_stuck(now_s + 400)
    assert child.is_stuck(now_s + 501)


def test_a_child_that_is_not_heard_of_is_stuck(child: Child) -> None:
    now_s = time.monotonic()
    assert not child.is_stuck(now_s + 299)
    assert child.is_stuck(now_s + 301)
    report(child, has_work=False, progress_s=now_s)
    assert child.is_stuck(now_s + 302)
