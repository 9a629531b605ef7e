"""Rules for proxied messages: forwarded, held or dropped, and what they report."""

from typing import Any

import pytest

from tests.fold.records import completed, failed, message, progress, reported
from tests.fold.trackers import HELD, NOT_SENT, PERCENT, Tracker
from tests.support.messages import STATUS_CHECK_URL, record_of, task_message

# --- forwarded or dropped, by the status of the job


@pytest.mark.parametrize("status", ["Waiting", "Active"])
def test_a_message_of_a_running_job_is_reported_and_forwarded(tracker: Tracker, status: str) -> None:
    if status == "Active":
        tracker.apply(progress("2", 5))
    assert tracker.status == status
    [fate] = tracker.apply(message("1")).fates
    assert fate[:2] == ("forwarded", "worker-out")
    assert tracker.missing == ([("acme:job", 2, 2)] if status == "Active" else [])
    assert tracker.status == "Active"


def test_a_message_of_an_unknown_job_is_dropped(tracker: Tracker) -> None:
    result = tracker.apply(record_of(task_message("acme:nobody.1")))
    assert (result.fates, result.dropped) == ([NOT_SENT], {"unknown": 1})


def test_a_message_of_a_deleted_job_is_dropped(tracker: Tracker) -> None:
    tracker.command("delete")
    assert tracker.apply(message("1")).dropped == {"unknown": 1}


def test_a_message_of_a_cancelled_job_is_dropped_and_not_reported(tracker: Tracker) -> None:
    tracker.command("cancel")
    result = tracker.apply(message("1"))
    assert (result.fates, result.dropped) == ([NOT_SENT], {"cancelled": 1})
    assert tracker.percentage == 0


def test_a_message_of_a_failed_job_is_dropped_and_not_reported(tracker: Tracker) -> None:
    tracker.apply(failed("1"))
    before = tracker.state()
    result = tracker.apply(message("2"))
    assert (result.fates, result.dropped) == ([NOT_SENT], {"failed": 1})
    assert tracker.state() == before


def test_a_message_of_a_completed_job_is_dropped(tracker: Tracker) -> None:
    tracker.apply(completed(""))
    result = tracker.apply(message("1"))
    assert (result.fates, result.dropped) == ([NOT_SENT], {"completed": 1})


def test_a_message_of_an_earlier_run_is_dropped_and_not_reported(tracker: Tracker) -> None:
    result = tracker.apply(message("1", status_check_url=f"{STATUS_CHECK_URL}?run=9"))
    assert (result.fates, result.dropped) == ([NOT_SENT], {"stale": 1})
    assert tracker.status == "Waiting"


@pytest.mark.parametrize("url", [f"{STATUS_CHECK_URL}?run=1", STATUS_CHECK_URL, None])
def test_a_message_of_the_present_run_or_without_a_marker_counts(tracker: Tracker, url: str | None) -> None:
    result = tracker.apply(message("1", status_check_url=url))
    assert (result.fates[0][0], result.dropped) == ("forwarded", {})
    assert tracker.status == "Active"


@pytest.mark.parametrize("fields", [{"tracking": None}, {}], ids=["no tracking", "no jobTaskId"])
def test_an_untracked_message_is_forwarded_and_not_reported(tracker: Tracker, fields: dict[str, Any]) -> None:
    [fate] = tracker.apply(record_of(task_message(None, to="worker-in", **fields))).fates
    assert fate[:2] == ("forwarded", "worker-in")
    assert tracker.status == "Waiting"


# --- held


def test_what_would_make_more_work_is_held_while_a_job_is_paused(tracker: Tracker) -> None:
    tracker.command("pause")
    for path in ("1", "2", "3"):
        assert tracker.apply(message(path, to="worker-in")).fates == [HELD]


def test_a_message_whose_tracking_ends_is_reported_and_forwarded_while_its_job_is_paused(
    tracker: Tracker,
) -> None:
    tracker.command("pause")
    [fate] = tracker.apply(message("1")).fates
    assert fate[:2] == ("forwarded", "worker-out")
    assert (tracker.status, tracker.percentage) == ("Paused", 50 * PERCENT)


def test_a_message_with_nothing_to_send_is_not_held(tracker: Tracker) -> None:
    tracker.command("pause")
    assert tracker.apply(message("1", to=None)).fates == [NOT_SENT]


def test_an_exception_of_a_paused_job_is_reported_and_its_message_held(tracker: Tracker) -> None:
    tracker.command("pause")
    assert tracker.apply(message("1", to="worker-in", status="RESULT_EXCEPTION")).fates == [HELD]
    assert tracker.status == "Failed"


def test_a_paused_job_stays_paused_until_it_fails(tracker: Tracker) -> None:
    tracker.command("pause")
    tracker.apply(message("1"))
    assert tracker.status == "Paused"
    tracker.apply(failed("2"))
    assert tracker.status == "Failed"


def test_resuming_makes_a_job_active(tracker: Tracker) -> None:
    tracker.command("pause")
    tracker.command("resume")
    assert tracker.status == "Active"
    assert tracker.apply(message("1", to="worker-in")).fates[0][:2] == ("forwarded", "worker-in")


# --- what a proxied message reports

RESULTS = ("NEW_TASK", "RESULT_SUCCESS", "RESULT_FAILURE")


@pytest.mark.parametrize("status", RESULTS)
@pytest.mark.parametrize(
    ("to", "track_to"), [("worker-out", "worker-out"), ("Worker-OUT", "worker-out"), (None, None)]
)
def test_a_task_is_complete_where_its_tracking_ends(
    tracker: Tracker, status: str, to: str | None, track_to: str | None
) -> None:
    tracker.apply(message("1*", to=to, track_to=track_to, status=status))
    assert tracker.status == "Completed"


@pytest.mark.parametrize("status", RESULTS)
@pytest.mark.parametrize(
    ("to", "track_to"), [("worker-in", "worker-out"), ("worker-in", None), (None, "worker-out")]
)
def test_a_task_in_progress_writes_nothing(
    tracker: Tracker, status: str, to: str | None, track_to: str | None
) -> None:
    before = tracker.state()
    [fate] = tracker.apply(message("1*", to=to, track_to=track_to, status=status)).fates
    assert tracker.state() == before
    assert tracker.status == "Waiting"
    assert fate[0] == ("forwarded" if to is not None else "not sent")


@pytest.mark.parametrize("status", ["RESULT_EXCEPTION", "INVALID_TASK"])
@pytest.mark.parametrize("to", ["worker-in", "worker-out", None])
def test_an_exception_fails_its_task(tracker: Tracker, status: str, to: str | None) -> None:
    [fate] = tracker.apply(message("1", to=to, status=status, task_data="tr\u00fcb".encode())).fates
    assert tracker.status == "Failed"
    assert tracker.failures == {"acme:job.1": (status, "worker-document", "tr\u00fcb")}
    assert fate[:2] == (("forwarded", to) if to else NOT_SENT)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (None, "Unknown - no source info"),
        ({}, "Unknown - worker name not set"),
        ({"name": None}, "Unknown - worker name not set"),
    ],
)
def test_a_failure_says_when_it_has_no_source(tracker: Tracker, source: Any, shown: str) -> None:
    tracker.apply(message("1", status="RESULT_EXCEPTION", sourceInfo=source))
    assert tracker.failures["acme:job.1"][1] == shown


@pytest.mark.parametrize("status", [None, "RESULT_MAYBE"])
def test_a_rejected_task_fails(tracker: Tracker, status: str | None) -> None:
    headers = {"x-caf-worker-rejected": b"too often", "x-caf-worker-retry": b"3"}
    tracker.apply(message("1", status=status, headers=headers))
    failure_id, _, text = tracker.failures["acme:job.1"]
    assert failure_id == "x-caf-worker-rejected"
    assert text == "too often. Execution of this job task was retried 3 times."


@pytest.mark.parametrize("status", [None, "RESULT_MAYBE"])
def test_a_retry_is_forwarded_and_writes_nothing(tracker: Tracker, status: str | None) -> None:
    [fate] = tracker.apply(message("1", status=status, headers={"x-caf-worker-retry": b"3"})).fates
    assert fate[0] == "forwarded"
    assert tracker.status == "Waiting"


def test_a_rejection_of_a_message_with_a_result_does_not_count(tracker: Tracker) -> None:
    tracker.apply(message("1*", headers={"x-caf-worker-rejected": b"x"}))
    assert tracker.status == "Completed"


# --- what is forwarded


def test_a_forwarded_message_keeps_its_bytes(tracker: Tracker) -> None:
    value = b'{ "unknown" : 1.50, "taskId":"x","to":"worker-in","tracking":{"jobTaskId":"acme:job.1"} }'
    assert tracker.apply(record_of(value)).fates == [("forwarded", "worker-in", value)]


def test_tracking_is_sent_as_null_where_it_ends(tracker: Tracker) -> None:
    value = (
        b'{ "context": {"tracking": {}},"taskId":"\\"tracking\\":{", "tracking" : {"jobTaskId":"acme:job.1",'
        b'"trackTo":"WORKER-OUT","x":"}"} ,"to":"worker-out" }'
    )
    [(_, _, sent)] = tracker.apply(record_of(value)).fates
    assert sent == (
        b'{ "context": {"tracking": {}},"taskId":"\\"tracking\\":{", "tracking" : null ,"to":"worker-out" }'
    )


# --- batches


def test_the_statuses_before_a_batch_decide(tracker: Tracker) -> None:
    batch = [reported("1", "Failed"), message("2")]
    result = tracker.apply(*batch)
    assert (result.fates[1][0], result.dropped) == ("forwarded", {})
    assert tracker.percentage == 33_333_333
    assert tracker.apply(batch[1]).dropped == {"failed": 1}


def test_one_bad_record_does_not_affect_its_batch(tracker: Tracker) -> None:
    bad, good = tracker.apply(record_of(b"{"), message("1*")).fates
    assert bad == ("refused", "not-json")
    assert good[0] == "forwarded"
    assert tracker.status == "Completed"


def test_bad_input_is_refused_whatever_its_jobs_status(tracker: Tracker) -> None:
    tracker.apply(completed(""))
    assert tracker.apply(message("1", to="../x")).fates == [("refused", "destination-not-allowed")]
