"""The child's end of what ties it to its supervisor."""

import multiprocessing
import threading

import pytest

from tracker import metrics
from tracker.lifeline import ChildReport, ChildStatus, Lifeline

HANG_S = 30.0
"""What has not ended by then never will."""


def test_it_reports_again_and_again_and_a_last_time_when_it_is_closed() -> None:
    here, there = multiprocessing.Pipe()
    lifeline = Lifeline(there, report_interval_s=0.01)
    lifeline.report(lambda: ChildStatus(True, False, 1.0, "idle"))
    reports = [here.recv() for _ in range(3)]
    assert all(report == ChildReport(ChildStatus(True, False, 1.0, "idle"), {}) for report in reports)
    lifeline.recorder.add(metrics.BATCHES, 3)
    lifeline.close()
    while here.poll():
        last = here.recv()
    assert last.metrics == {"tracker_batches": {(): (3.0,)}}


def test_until_it_is_ready_it_reports_without_waiting_for_the_next_interval() -> None:
    here, there = multiprocessing.Pipe()
    ready = threading.Event()
    lifeline = Lifeline(there, report_interval_s=600.0)
    lifeline.report(lambda: ChildStatus(ready.is_set(), False, 1.0))
    assert here.poll(HANG_S)
    assert not here.recv().status.ready
    ready.set()
    while here.poll(HANG_S):
        if here.recv().status.ready:
            break
    else:
        pytest.fail("that it is ready was not reported")
    lifeline.close()


def test_it_sets_stopping_when_asked() -> None:
    here, there = multiprocessing.Pipe()
    lifeline = Lifeline(there)
    assert not lifeline.stopping.is_set()
    here.send_bytes(b"stop")
    assert lifeline.stopping.wait(10)


def test_it_stops_when_its_supervisor_has_died() -> None:
    here, there = multiprocessing.Pipe()
    orphaned = threading.Event()
    lifeline = Lifeline(there, on_orphaned=orphaned.set)
    here.close()
    assert lifeline.stopping.wait(10)
    assert orphaned.is_set()


def test_a_supervisor_that_does_not_listen_delays_the_end_by_a_second_at_most() -> None:
    here, there = multiprocessing.Pipe()
    filled = threading.Event()
    lifeline = Lifeline(there, report_interval_s=0.0)

    def status() -> ChildStatus:
        filled.set()
        return ChildStatus(True, False, 1.0, "x" * 10_000_000)

    lifeline.report(status)
    assert filled.wait(10)
    closing = threading.Thread(target=lifeline.close, daemon=True)
    closing.start()
    closing.join(HANG_S)
    assert not closing.is_alive()
    here.close()


def test_alone_it_has_nobody_to_report_to() -> None:
    lifeline = Lifeline.alone()
    lifeline.report(lambda: ChildStatus(True, False, 1.0))
    lifeline.close()
    assert not lifeline.stopping.is_set()


def test_it_reports_once_only() -> None:
    here, there = multiprocessing.Pipe()
    lifeline = Lifeline(there)
    lifeline.report(lambda: ChildStatus(True, False, 1.0))
    with pytest.raises(RuntimeError):
        lifeline.report(lambda: ChildStatus(True, False, 1.0))
    lifeline.close()
    assert here.poll(1)
