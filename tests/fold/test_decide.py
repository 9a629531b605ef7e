"""What becomes of records by their job's status: sent, dropped or held, and the same when redelivered."""

from collections.abc import Sequence

import pytest

from tests.fold.found_jobs import found_jobs
from tests.support.decoding import decode
from tests.support.messages import record_of, report, task_message, tracking_report
from tests.support.records import Record
from tracker.fold.decide import decide, decide_redelivered
from tracker.fold.state import JobState
from tracker.job_status import JobStatus
from tracker.messages.decode import DecodedBatch

# Where each goes while its job is active; all but the event and the last report on acme:job.
ENDING = record_of(task_message("acme:job.1"))
OPEN = record_of(task_message("acme:job.2", to="worker-in"))
JOB_ENDING = record_of(task_message("acme:job"))
JOB_OPEN = record_of(task_message("acme:job", to="worker-in"))
FAILING = record_of(task_message("acme:job.3", to="worker-in", status="INVALID_TASK"))
FAILING_AT_THE_END = record_of(task_message("acme:job.3", status="INVALID_TASK"))
SINK = record_of(task_message("acme:job.4", to=None, track_to=None))
OPEN_SINK = record_of(task_message("acme:job.4", to=None, track_to="worker-out"))
PROXIED = [ENDING, OPEN, JOB_ENDING, JOB_OPEN, FAILING, FAILING_AT_THE_END, SINK, OPEN_SINK]
UNTRACKED = record_of(task_message(None, to="worker-in"))
EVENT = record_of(tracking_report(report("acme:job.1", "Complete"), report("acme:job.2", "Progress", 5)))

ALL_SENT = ["worker-out", "worker-in", "worker-out", "worker-in", "worker-in", "worker-out", None, None]


def decoded_batch(records: Sequence[Record]) -> DecodedBatch:
    batch = decode(records)
    assert batch.refused == []
    return batch


@pytest.mark.parametrize("status", [JobStatus.WAITING, JobStatus.ACTIVE])
def test_everything_of_a_running_job_is_sent(status: JobStatus) -> None:
    batch = decoded_batch(PROXIED)
    decisions = decide(batch, found_jobs(status))
    assert batch.destinations == ALL_SENT
    assert (decisions.dropped, decisions.held, decisions.withheld) == ({}, [], set())


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (None, "unknown_job"),
        (JobStatus.FAILED, "failed"),
        (JobStatus.CANCELLED, "cancelled"),
        (JobStatus.COMPLETED, "completed"),
    ],
)
def test_everything_of_an_ended_job_is_dropped(status: JobStatus | None, reason: str) -> None:
    batch = decoded_batch(PROXIED)
    decisions = decide(batch, found_jobs(status))
    assert batch.destinations == [None] * len(PROXIED)
    assert decisions.dropped == {reason: len(PROXIED)}
    assert decisions.withheld == set(range(len(PROXIED)))


def test_untracked_messages_are_sent_whatever_becomes_of_the_rest() -> None:
    batch = decoded_batch([OPEN, UNTRACKED, OPEN])
    decide(batch, found_jobs(None))
    assert batch.destinations == [None, "worker-in", None]


@pytest.mark.parametrize(
    ("status", "ignored"),
    [
        (None, {"unknown_job": 2}),
        (JobStatus.CANCELLED, {"cancelled": 2}),
        (JobStatus.COMPLETED, {"completed": 2}),
        (JobStatus.FAILED, {}),
        (JobStatus.ACTIVE, {}),
    ],
)
def test_reports_of_events_are_ignored_but_for_jobs_that_can_change(
    status: JobStatus | None, ignored: dict[str, int]
) -> None:
    decisions = decide(decoded_batch([EVENT]), found_jobs(status))
    assert decisions.ignored == ignored
    assert decisions.dropped == {}


def test_a_paused_jobs_messages_are_held_in_order_unless_their_tracking_ends() -> None:
    batch = decoded_batch([OPEN, ENDING, FAILING, JOB_OPEN, OPEN_SINK, OPEN, JOB_ENDING, FAILING_AT_THE_END])
    decisions = decide(batch, found_jobs(JobStatus.PAUSED))
    assert [(destination, position) for _, destination, position in decisions.held] == [
        ("worker-in", 0),
        ("worker-in", 2),
        ("worker-in", 3),
        ("worker-in", 5),
    ]
    assert batch.destinations == [None, "worker-out", None, None, None, None, "worker-out", "worker-out"]
    assert decisions.withheld >= {0, 2, 3, 5}
    assert decisions.dropped == {}


def test_held_messages_of_several_jobs_keep_their_common_order() -> None:
    names = ["acme:b.1", "acme:a.1", "acme:b.2", "acme:a.2.1", "acme:a.3"]
    batch = decoded_batch([record_of(task_message(name, to="worker-in")) for name in names])
    states = {name: JobState(name, 1, 1, JobStatus.PAUSED, 0) for name in batch.jobs}
    assert [position for _, _, position in decide(batch, states).held] == [0, 1, 2, 3, 4]


def test_the_values_of_held_messages_stay() -> None:
    batch = decoded_batch([OPEN])
    decide(batch, found_jobs(JobStatus.PAUSED))
    assert batch.values == [OPEN.value]


# --- redelivered records


@pytest.mark.parametrize("status", [JobStatus.WAITING, JobStatus.ACTIVE, JobStatus.PAUSED])
def test_what_was_sent_is_sent_again(status: JobStatus) -> None:
    batch = decoded_batch(PROXIED)
    decide_redelivered(batch, found_jobs(status), set())
    assert batch.destinations == ALL_SENT


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.COMPLETED])
def test_what_ended_its_job_is_sent_again(status: JobStatus) -> None:
    batch = decoded_batch(PROXIED)
    assert decide_redelivered(batch, found_jobs(status), set()).dropped == {}
    assert batch.destinations == ALL_SENT


@pytest.mark.parametrize("status", JobStatus)
def test_what_was_withheld_is_withheld_again_though_its_job_has_changed(status: JobStatus) -> None:
    batch = decoded_batch([OPEN, ENDING, OPEN])
    decisions = decide_redelivered(batch, found_jobs(status), {0, 1})
    assert batch.destinations[:2] == [None, None]
    assert (decisions.held, decisions.ignored) == ([], {})
    assert {0, 1} <= decisions.withheld


@pytest.mark.parametrize(("status", "reason"), [(None, "unknown_job"), (JobStatus.CANCELLED, "cancelled")])
def test_a_cancel_or_delete_in_between_drops_what_was_sent(status: JobStatus | None, reason: str) -> None:
    batch = decoded_batch(PROXIED)
    decisions = decide_redelivered(batch, found_jobs(status), {0})
    assert batch.destinations == [None] * len(PROXIED)
    assert decisions.dropped == {reason: len(PROXIED) - 1}
