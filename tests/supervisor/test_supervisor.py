"""The supervisor, with real children that are killed, freeze, fail and refuse."""

import os
import signal

import pytest

from tests.supervisor.harness import START_S, Program
from tracker.supervisor.children import RestartPolicy
from tracker.supervisor.supervisor import _time_to_stop


def test_a_killed_child_is_started_again() -> None:
    with Program(worker_0="good", scheduler="good") as program:
        pid = program.next("child started", child="worker-0")["pid"]
        program.next("ready")
        os.kill(pid, signal.SIGKILL)
        program.next("child ended", child="worker-0", pid=pid, signal="SIGKILL")
        program.next("no longer ready")
        assert program.next("child started", child="worker-0")["pid"] != pid
        program.next("ready")
        assert program.metric("tracker_worker_restarts_total", process="worker-0", cause="exited") == 1
        assert program.stop() == 0


def test_a_child_that_someone_else_stops_ends_and_is_restarted() -> None:
    with Program(worker_0="good") as program:
        pid = program.next("child started")["pid"]
        program.next("ready")
        os.kill(pid, signal.SIGTERM)
        program.next("child ended", pid=pid, status=0)
        program.next("child started")
        assert program.stop() == 0


def test_restarts_slow_down_while_a_child_keeps_dying() -> None:
    with Program(worker_0="failing") as program:
        delays = [program.next("child ended", failures=n)["restart_in_s"] for n in range(1, 5)]
        assert delays[3] > 2 * delays[0]
        assert program.stop() == 0


def test_failures_are_forgiven_after_a_while_of_health() -> None:
    with Program(worker_0="good", restart_policy={"healthy_after_s": 0.0}) as program:
        for _ in range(2):
            pid = program.next("child started")["pid"]
            program.next("ready")
            os.kill(pid, signal.SIGKILL)
            assert program.next("child ended")["failures"] == 1
        assert program.stop() == 0


def test_the_delay_doubles_up_to_its_limit() -> None:
    restart_policy = RestartPolicy(backoff_s=1, backoff_limit_s=30)
    for failures, longest in ((1, 1), (2, 2), (3, 4), (6, 30), (10_000, 30)):
        assert longest / 2 <= restart_policy.delay_s(failures) <= longest


@pytest.mark.parametrize("group", [False, True])
def test_a_terminal_that_goes_away_is_a_request_to_stop(group: bool) -> None:
    with Program(worker_0="good") as program:
        program.next("ready")
        program.signal(signal.SIGHUP, group=group)
        assert program.wait() == 0
        assert [line["status"] for line in program.lines if line["event"] == "child stopped"] == [0]


def test_under_nohup_it_continues_without_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a process that is started from here inherits it
    try:
        program = Program(worker_0="good")
    finally:
        signal.signal(signal.SIGHUP, before)
    with program:
        pid = program.next("child started")["pid"]
        program.next("ready")
        program.signal(signal.SIGHUP, group=True)
        os.kill(pid, signal.SIGKILL)
        program.next("child ended", pid=pid, signal="SIGKILL")
        program.next("child started")
        assert program.stop() == 0


@pytest.mark.parametrize("as_a_terminal_does", [False, True])
def test_children_finish_and_leave_when_the_supervisor_is_asked_to_stop(as_a_terminal_does: bool) -> None:
    with Program(worker_0="good", worker_1="good") as program:
        program.next("ready")
        program.signal(signal.SIGINT if as_a_terminal_does else signal.SIGTERM, group=as_a_terminal_does)
        assert program.wait() == 0
        left = [line for line in program.lines if line["event"] == "child stopped"]
        assert sorted((line["child"], line["status"]) for line in left) == [("worker-0", 0), ("worker-1", 0)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_while_children_are_starting_is_not_lost(number: int) -> None:
    with Program(worker_0="good") as program:
        program.next("child started")
        program.signal(number, group=True)
        assert program.wait() == 0
        assert [line.get("status") for line in program.lines if line["event"] == "child stopped"] == [0]


def test_a_child_that_does_not_leave_is_killed_in_time() -> None:
    with Program(worker_0="deaf", worker_1="good", shutdown_timeout_s=5.0) as program:
        program.next("ready")
        assert program.stop() == 1
        program.next("child did not stop in time and is killed", child="worker-0")
        left = {line["child"]: line for line in program.lines if line["event"] == "child stopped"}
        assert left["worker-0"]["signal"] == "SIGKILL"
        assert left["worker-1"]["status"] == 0


def test_part_of_the_shutdown_timeout_is_kept_for_killing() -> None:
    assert [_time_to_stop(timeout_s) for timeout_s in (1, 5, 25, 3600)] == [0.8, 4, 23, 3598]


def test_a_second_interrupt_kills_at_once() -> None:
    with Program(worker_0="deaf", shutdown_timeout_s=600.0) as program:
        program.next("ready")
        program.signal(signal.SIGINT)
        program.next("stopping")
        program.signal(signal.SIGINT)
        assert program.wait() == 1


def test_children_leave_when_their_supervisor_is_killed() -> None:
    with Program(worker_0="good", worker_1="deaf") as program:
        program.next("ready")
        program.signal(signal.SIGKILL)
        program.all_gone(START_S)


def test_a_child_that_hangs_is_killed_and_started_again_and_no_other() -> None:
    with Program(worker_0="hanging", worker_1="good") as program:
        pid = program.next("child started", child="worker-0")["pid"]
        program.next("child is stuck and is killed", child="worker-0", pid=pid)
        program.next("child started", child="worker-0")
        assert (program.metric("tracker_worker_restarts_total", process="worker-0", cause="stuck") or 0) >= 1
        assert program.metric("tracker_worker_restarts_total", process="worker-1", cause="stuck") is None


# On a busy machine a sound child may take longer than this to start: it is killed too, and started again.
SHORT = {"stuck_after_s": 3.0}


@pytest.mark.parametrize("behaviour", ["stuck", "silent"])
def test_a_child_that_makes_no_progress_is_killed_and_started_again(behaviour: str) -> None:
    with Program(worker_0=behaviour, restart_policy=SHORT) as program:
        pid = program.next("child started")["pid"]
        program.next("child is stuck and is killed", pid=pid)
        program.next("child started")
        assert (program.metric("tracker_worker_restarts_total", process="worker-0", cause="stuck") or 0) >= 1


def test_a_frozen_child_is_killed_and_started_again() -> None:
    with Program(worker_0="good", restart_policy=SHORT) as program:
        program.next("ready")
        pid = next(line["pid"] for line in reversed(program.lines) if line["event"] == "child started")
        os.kill(pid, signal.SIGSTOP)
        program.next("child is stuck and is killed", pid=pid)
        program.next("ready")


def test_two_owners_of_a_slot_are_not_left_to_fight() -> None:
    with Program(worker_0="fenced", worker_1="good") as program:
        assert program.wait() == 1
        sentence = "worker-0 was fenced repeatedly: another tracker uses the same group, instance and slot"
        assert program.events().count(sentence) == 1
        assert "child ended" not in program.events()


def test_a_child_that_refuses_ends_it_all_with_its_sentence() -> None:
    with Program(worker_0="refusing", worker_1="good") as program:
        assert program.wait() == 1
        assert "TRACKER_TOPICS names a topic that does not exist." in program.events()
        assert "child ended" not in program.events()


def test_an_unexpected_error_is_one_line_without_a_traceback() -> None:
    with Program(worker_0="raising") as program:
        line = program.next("unexpected error", process="worker-0")
        assert line["error"] == r"ValueError: a mistake\nin the program"
        program.next("child ended", status=1)
        assert program.stop() == 0


def test_counts_outlive_the_process_that_counted() -> None:
    with Program(worker_0="good", worker_1="good") as program:
        pid = program.next("child started", child="worker-0")["pid"]
        program.next("ready")
        assert program.metric("tracker_batches_total") == 2
        os.kill(pid, signal.SIGTERM)  # leaves in order, so that its last count is reported, too
        program.next("child started", child="worker-0")
        program.next("ready")
        assert program.metric("tracker_batches_total") == 4
        assert program.metric("tracker_lag_records", topic="tracking", kafka_partition="0") == 7
        assert program.metric("tracker_workers_ready") == 2
        assert program.stop() == 0
