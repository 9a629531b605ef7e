"""The model itself, against examples worked out by hand from the rules."""

import base64
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.histories import History, histories, permutations
from tests.model.messages import (
    STATUS_CHECK_URL,
    failure,
    key_of,
    progress_event,
    record_of,
    report,
    task_message,
    tracking_report,
)
from tests.model.naive import NaiveTracker
from tests.model.outcomes import Conflict, NotFound, Outcome, Refused
from tests.model.poison import KNOWN_TOPICS, POISON, SOUND, TRACKING_TOPICS, Poison
from tests.model.reading import Record
from tests.model.scripts import record_for
from tests.model.traffic import Advance, Arrive, Drain, Traffic, apply

JOB = ("acme", "job")


@pytest.fixture
def tracker() -> NaiveTracker:
    """A tracker with one job, `acme:job`, that has been sent."""
    tracker = NaiveTracker()
    tracker.create_job(*JOB)
    return tracker


def tell(tracker: NaiveTracker, *reports: dict[str, Any]) -> Outcome:
    return tracker.process(record_of(tracking_report(*reports)))


def complete(tracker: NaiveTracker, *tasks: str) -> Outcome:
    return tell(tracker, *(report(task, "Complete") for task in tasks))


def fail(tracker: NaiveTracker, task: str, message: str = "it broke") -> Outcome:
    return tell(tracker, report(task, "Failed", failure=failure(message)))


def progress(tracker: NaiveTracker, task: str, percentage: float) -> Outcome:
    return tell(tracker, report(task, "Progress", percentage))


def send(tracker: NaiveTracker, task: str | None = "acme:job.1", **fields: Any) -> Outcome:
    headers = fields.pop("headers", ())
    return tracker.process(record_of(task_message(task, **fields), headers=headers))


def released(outcome: Outcome) -> list[str]:
    return [release.job_id for release in outcome.released]


def failed_tasks(tracker: NaiveTracker, *job: str) -> list[str]:
    return [each["jobTaskId"] for each in tracker.failures(*(job or JOB))]


def state(tracker: NaiveTracker, *job: str) -> tuple[Any, ...]:
    key = job or JOB
    return (
        tracker.status(*key),
        tracker.percentage_millionths(*key),
        tracker.failures(*key),
        tracker.missing(*key),
    )


# --- identifiers


def test_no_partition_id_means_default() -> None:
    tracker = NaiveTracker()
    tracker.create_job("default", "job")
    complete(tracker, "job")
    assert tracker.status("default", "job") == "Completed"


def test_a_task_is_the_same_with_and_without_its_mark(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.3", "acme:job.3*")
    assert tracker.missing(*JOB) == [("acme:job", 1, 2)]


def test_a_mark_may_stand_at_any_level(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.1*.1*.1*")
    assert tracker.status(*JOB) == "Completed"


# --- what a proxied message does, by the status of its job


@pytest.mark.parametrize("status", ["Waiting", "Active"])
def test_a_message_of_a_running_job_is_reported_and_forwarded(status: str) -> None:
    tracker = NaiveTracker()
    tracker.create_job(*JOB)
    if status == "Active":
        progress(tracker, "acme:job.2", 5)
    assert tracker.status(*JOB) == status
    outcome = send(tracker, "acme:job.1")
    assert [each.destination for each in outcome.forwarded] == ["worker-out"]
    assert tracker.missing(*JOB) == ([("acme:job", 2, 2)] if status == "Active" else [])
    assert tracker.status(*JOB) == "Active"


def test_a_message_of_an_unknown_job_is_dropped(tracker: NaiveTracker) -> None:
    outcome = send(tracker, "acme:nobody.1")
    assert (outcome.dropped, outcome.forwarded) == ("unknown", [])


def test_a_message_of_a_deleted_job_is_dropped(tracker: NaiveTracker) -> None:
    tracker.delete(*JOB)
    assert send(tracker).dropped == "unknown"


def test_a_message_of_a_cancelled_job_is_dropped_and_not_reported(tracker: NaiveTracker) -> None:
    tracker.cancel(*JOB)
    assert send(tracker).dropped == "cancelled"
    assert tracker.percentage(*JOB) == 0


def test_a_message_of_a_failed_job_is_dropped_and_not_reported(tracker: NaiveTracker) -> None:
    fail(tracker, "acme:job.1")
    before = state(tracker)
    assert send(tracker, "acme:job.2").dropped == "failed"
    assert state(tracker) == before


def test_a_message_of_a_completed_job_is_dropped(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job")
    assert send(tracker).dropped == "completed"


@pytest.mark.parametrize("fields", [{"tracking": None}, {}], ids=["no tracking", "no jobTaskId"])
def test_an_untracked_message_is_forwarded_and_not_reported(
    tracker: NaiveTracker, fields: dict[str, Any]
) -> None:
    outcome = send(tracker, None, to="worker-in", **fields)
    assert [each.destination for each in outcome.forwarded] == ["worker-in"]
    assert outcome.ignored == ["untracked"]
    assert tracker.status(*JOB) == "Waiting"


# --- what a proxied message reports


@pytest.mark.parametrize("status", ["NEW_TASK", "RESULT_SUCCESS", "RESULT_FAILURE"])
@pytest.mark.parametrize(
    ("to", "track_to"), [("worker-out", "worker-out"), ("Worker-OUT", "worker-out"), (None, None)]
)
def test_a_task_is_complete_where_its_tracking_ends(
    tracker: NaiveTracker, status: str, to: str | None, track_to: str | None
) -> None:
    send(tracker, "acme:job.1*", to=to, track_to=track_to, status=status)
    assert tracker.status(*JOB) == "Completed"


@pytest.mark.parametrize("status", ["NEW_TASK", "RESULT_SUCCESS", "RESULT_FAILURE"])
@pytest.mark.parametrize(
    ("to", "track_to"), [("worker-in", "worker-out"), ("worker-in", None), (None, "worker-out")]
)
def test_a_task_in_progress_writes_nothing(
    tracker: NaiveTracker, status: str, to: str | None, track_to: str | None
) -> None:
    before = state(tracker)
    outcome = send(tracker, "acme:job.1*", to=to, track_to=track_to, status=status)
    assert state(tracker) == before
    assert tracker.status(*JOB) == "Waiting"
    assert len(outcome.forwarded) == (to is not None)


@pytest.mark.parametrize("status", ["RESULT_EXCEPTION", "INVALID_TASK"])
@pytest.mark.parametrize("to", ["worker-in", "worker-out", None])
def test_an_exception_fails_its_task(tracker: NaiveTracker, status: str, to: str | None) -> None:
    outcome = send(tracker, "acme:job.1", to=to, status=status, task_data="tr\u00fcb".encode())
    assert tracker.status(*JOB) == "Failed"
    assert tracker.failures(*JOB) == [
        {
            "jobTaskId": "acme:job.1",
            "failureId": status,
            "failureSource": "worker-document",
            "failureMessage": "tr\u00fcb",
        }
    ]
    assert [each.destination for each in outcome.forwarded] == ([to] if to else [])


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (None, "Unknown - no source info"),
        ({}, "Unknown - worker name not set"),
        ({"name": None}, "Unknown - worker name not set"),
    ],
)
def test_a_failure_says_where_it_has_no_source(tracker: NaiveTracker, source: Any, shown: str) -> None:
    send(tracker, status="RESULT_EXCEPTION", sourceInfo=source)
    assert tracker.failures(*JOB)[0]["failureSource"] == shown


@pytest.mark.parametrize("status", [None, "RESULT_MAYBE"])
def test_a_rejected_task_fails(tracker: NaiveTracker, status: str | None) -> None:
    headers = {"x-caf-worker-rejected": b"too often", "x-caf-worker-retry": b"3"}
    send(tracker, status=status, headers=headers)
    (failed,) = tracker.failures(*JOB)
    assert failed["failureId"] == "x-caf-worker-rejected"
    assert failed["failureMessage"] == "too often. Execution of this job task was retried 3 times."


@pytest.mark.parametrize("status", [None, "RESULT_MAYBE"])
def test_a_retry_is_forwarded_and_writes_nothing(tracker: NaiveTracker, status: str | None) -> None:
    outcome = send(tracker, status=status, headers={"x-caf-worker-retry": b"3"})
    assert outcome.ignored == ["retry"]
    assert len(outcome.forwarded) == 1
    assert tracker.status(*JOB) == "Waiting"


def test_a_rejection_of_a_message_with_a_result_says_nothing(tracker: NaiveTracker) -> None:
    send(tracker, "acme:job.1*", headers={"x-caf-worker-rejected": b"x"})
    assert tracker.status(*JOB) == "Completed"


# --- forwarding


def test_a_forward_keeps_key_headers_and_bytes(tracker: NaiveTracker) -> None:
    value = b'{ "unknown" : 1.50, "taskId":"x","to":"worker-in","tracking":{"jobTaskId":"acme:job.1"} }'
    headers = (("traceparent", b"00-1-2-01"), ("a", None), ("a", b"\xff"))
    (forward,) = tracker.process(record_of(value, key=b"\xff", headers=headers)).forwarded
    assert forward == ("worker-in", b"\xff", value, headers)


def test_tracking_is_sent_as_null_where_it_ends(tracker: NaiveTracker) -> None:
    value = (
        b'{ "context": {"tracking": {}},"taskId":"\\"tracking\\":{", "tracking" : {"jobTaskId":"acme:job.1",'
        b'"trackTo":"WORKER-OUT","x":"}"} ,"to":"worker-out" }'
    )
    (forward,) = tracker.process(record_of(value)).forwarded
    assert forward.value == (
        b'{ "context": {"tracking": {}},"taskId":"\\"tracking\\":{", "tracking" : null ,"to":"worker-out" }'
    )


# --- events


def test_an_event_may_name_its_topic_in_any_case(tracker: NaiveTracker) -> None:
    tracker.process(record_of(tracking_report(report("acme:job", "Complete"), to="TracKing")))
    assert tracker.status(*JOB) == "Completed"


def test_progress_on_one_task(tracker: NaiveTracker) -> None:
    outcome = tracker.process(record_of(progress_event("acme:job", 12.5)))
    assert (tracker.percentage(*JOB), tracker.status(*JOB)) == (12.5, "Active")
    assert outcome.forwarded == []


def test_one_event_may_tell_of_many_jobs(tracker: NaiveTracker) -> None:
    tracker.create_job("acme", "other")
    outcome = complete(tracker, "acme:job", "acme:nobody", "acme:other")
    assert (tracker.status(*JOB), tracker.status("acme", "other")) == ("Completed", "Completed")
    assert outcome.ignored == ["unknown"]


def test_an_event_with_one_bad_report_is_not_applied_at_all(tracker: NaiveTracker) -> None:
    outcome = complete(tracker, "acme:job.1", "acme:job.0")
    assert outcome.dead_letter is not None
    assert tracker.status(*JOB) == "Waiting"


def test_no_reports_change_nothing(tracker: NaiveTracker) -> None:
    assert tell(tracker) == Outcome()


def test_a_retry_report_changes_nothing(tracker: NaiveTracker) -> None:
    tell(tracker, report("acme:job.1*", "Retry", retries=2))
    assert (tracker.status(*JOB), tracker.missing(*JOB)) == ("Waiting", [])


def test_a_failure_without_details_is_unspecified(tracker: NaiveTracker) -> None:
    tell(tracker, report("acme:job.1", "Failed"))
    assert tracker.failures(*JOB)[0]["failureId"] == "unspecified"


def test_reports_on_ended_jobs_are_ignored(tracker: NaiveTracker) -> None:
    tracker.cancel(*JOB)
    assert fail(tracker, "acme:job.1").ignored == ["cancelled"]
    assert tracker.status(*JOB) == "Cancelled"


# --- percentages


@pytest.mark.parametrize(
    ("told", "kept"), [(100, 99_900_000), (99.95, 99_900_000), (1e-9, 1), (33.3333334, 33_333_333)]
)
def test_progress_is_kept_in_millionths_up_to_99_9(tracker: NaiveTracker, told: float, kept: int) -> None:
    progress(tracker, "acme:job", told)
    assert tracker.percentage_millionths(*JOB) == kept


def test_progress_of_0_is_discarded(tracker: NaiveTracker) -> None:
    progress(tracker, "acme:job.5*", 0)
    assert (tracker.status(*JOB), tracker.missing(*JOB)) == ("Waiting", [])


def test_progress_is_the_highest_that_was_reported(tracker: NaiveTracker) -> None:
    progress(tracker, "acme:job", 40)
    progress(tracker, "acme:job", 30)
    assert tracker.percentage(*JOB) == 40


def test_progress_never_lowers_a_completed_task(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.1")
    progress(tracker, "acme:job.1", 10)
    assert tracker.percentage(*JOB) == 50


def test_the_number_of_children_is_one_more_than_seen_until_it_is_known(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.3")
    assert tracker.percentage(*JOB) == 25
    progress(tracker, "acme:job.5*", 10)
    assert tracker.percentage(*JOB) == 22


def test_a_parent_has_at_most_99_7(tracker: NaiveTracker) -> None:
    complete(tracker, *(f"acme:job.{index}" for index in range(1, 1000)))
    assert tracker.percentage(*JOB) == 99.7
    progress(tracker, "acme:job.1000*", 99.9)
    assert tracker.percentage(*JOB) == 99.7


def test_a_parent_is_rounded_down_to_millionths(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.1", "acme:job.2*.3*")  # of three children of job.2, one is complete
    assert tracker.percentage_millionths(*JOB) == (100_000_000 + 33_333_333) // 2


def test_a_jobs_percentage_is_rounded_half_up_to_two_decimals(tracker: NaiveTracker) -> None:
    progress(tracker, "acme:job", 12.345)
    assert tracker.percentage(*JOB) == 12.35
    progress(tracker, "acme:job", 12.354999)
    assert tracker.percentage(*JOB) == 12.35


def test_a_parent_has_the_higher_of_its_own_and_its_childrens(tracker: NaiveTracker) -> None:
    progress(tracker, "acme:job", 30)
    complete(tracker, "acme:job.4*")
    assert tracker.percentage(*JOB) == 30
    complete(tracker, "acme:job.1")
    assert tracker.percentage(*JOB) == 50


def test_a_failed_task_counts_0_until_it_completes(tracker: NaiveTracker) -> None:
    progress(tracker, "acme:job.2*", 80)
    fail(tracker, "acme:job.2")
    complete(tracker, "acme:job.1")
    progress(tracker, "acme:job.2", 90)
    assert (tracker.percentage(*JOB), tracker.status(*JOB)) == (50, "Failed")
    complete(tracker, "acme:job.2")
    assert (tracker.percentage(*JOB), tracker.status(*JOB)) == (100, "Completed")


def test_a_parent_of_a_failed_task_keeps_what_its_other_children_amount_to(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.1*.1")
    fail(tracker, "acme:job.1.2*")
    assert tracker.percentage(*JOB) == 50


# --- completion


def test_a_job_completes_with_the_last_of_its_known_children(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.3*", "acme:job.1")
    assert (tracker.status(*JOB), tracker.missing(*JOB)) == ("Active", [("acme:job", 2, 2)])
    complete(tracker, "acme:job.2")
    assert state(tracker) == ("Completed", 100_000_000, [], [])


def test_a_job_that_completes_outright_misses_nothing(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.3*", "acme:job")
    assert state(tracker) == ("Completed", 100_000_000, [], [])


def test_a_job_does_not_complete_while_the_number_of_children_is_unknown(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.1", "acme:job.2")
    assert tracker.status(*JOB) == "Active"


def test_a_mark_counts_when_it_comes_after_the_completion(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.1", "acme:job.2")
    assert tracker.status(*JOB) == "Active"
    complete(tracker, "acme:job.2*")
    assert tracker.status(*JOB) == "Completed"


def test_a_mark_is_learnt_from_reports_that_are_otherwise_ignored(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.1", "acme:job.2.1", "acme:job.2")
    fail(tracker, "acme:job.2*.7*")
    assert tracker.status(*JOB) == "Completed"


def test_nothing_is_learnt_below_a_completed_task(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.1", "acme:job.1.7")
    assert tracker.missing(*JOB) == []


def test_a_mark_is_not_learnt_from_a_message_that_writes_nothing(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.1")
    send(tracker, "acme:job.1*", to="worker-in")
    assert tracker.status(*JOB) == "Active"


def test_a_parent_completes_outright_and_later_reports_on_its_children_are_ignored(
    tracker: NaiveTracker,
) -> None:
    progress(tracker, "acme:job.1.1", 10)
    complete(tracker, "acme:job.1")
    assert (tracker.percentage(*JOB), tracker.missing(*JOB)) == (50, [])
    fail(tracker, "acme:job.1.1")
    assert (tracker.status(*JOB), tracker.failures(*JOB)) == ("Active", [])


def test_completed_is_final_for_a_task(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.1")
    fail(tracker, "acme:job.1")
    assert (tracker.status(*JOB), tracker.failures(*JOB)) == ("Active", [])


@pytest.mark.parametrize("tasks", [("acme:job.2*", "acme:job.3"), ("acme:job.3*", "acme:job.2*")])
def test_contradictory_marks_make_the_highest_index_the_number_of_children(
    tracker: NaiveTracker, tasks: tuple[str, str]
) -> None:
    complete(tracker, *tasks)
    assert (tracker.percentage(*JOB), tracker.status(*JOB)) == (66.67, "Active")
    complete(tracker, "acme:job.1")
    assert tracker.status(*JOB) == "Completed"


def test_missing_tasks_are_listed_by_parent(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.2", "acme:job.7.12*.3", "acme:job.7.1", "acme:job.9*")
    assert tracker.missing(*JOB) == [
        ("acme:job", 1, 1),
        ("acme:job", 3, 8),
        ("acme:job.7", 2, 12),
        ("acme:job.7.12", 1, 2),
    ]


# --- failure


def test_a_failure_is_listed_once_with_the_last_details(tracker: NaiveTracker) -> None:
    fail(tracker, "acme:job.1", "first")
    fail(tracker, "acme:job.1", "second")
    assert [each["failureMessage"] for each in tracker.failures(*JOB)] == ["second"]


def test_a_failed_job_stays_so_until_it_completes_as_a_whole(tracker: NaiveTracker) -> None:
    fail(tracker, "acme:job.1")
    complete(tracker, "acme:job.1")
    assert (tracker.status(*JOB), tracker.failures(*JOB)) == ("Failed", [])
    complete(tracker, "acme:job.2*")
    assert tracker.status(*JOB) == "Completed"


def test_failures_below_a_task_that_completes_outright_are_no_longer_listed(tracker: NaiveTracker) -> None:
    fail(tracker, "acme:job.1.1")
    fail(tracker, "acme:job.2.1")
    complete(tracker, "acme:job.1")
    assert failed_tasks(tracker) == ["acme:job.2.1"]


def test_a_job_that_itself_failed_completes_with_its_tasks(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job.1")
    fail(tracker, "acme:job")
    assert (tracker.percentage(*JOB), failed_tasks(tracker)) == (0, ["acme:job"])
    complete(tracker, "acme:job.2*")
    assert state(tracker) == ("Completed", 100_000_000, [], [])


# --- batches


def test_a_batch_is_judged_by_the_statuses_before_it(tracker: NaiveTracker) -> None:
    batch = [
        record_of(tracking_report(report("acme:job.1", "Failed"))),
        record_of(task_message("acme:job.2")),
    ]
    outcomes = tracker.process_batch(batch)
    assert (outcomes[1].dropped, len(outcomes[1].forwarded)) == (None, 1)
    assert tracker.percentage(*JOB) == 33.33
    assert tracker.process(batch[1]).dropped == "failed"


def test_one_bad_record_does_not_spoil_its_batch(tracker: NaiveTracker) -> None:
    batch = [record_of(b"{"), record_of(task_message("acme:job.1*"))]
    bad, good = tracker.process_batch(batch)
    assert bad.dead_letter is not None
    assert len(good.forwarded) == 1
    assert tracker.status(*JOB) == "Completed"


# --- bad input


@pytest.mark.parametrize("poison", POISON, ids=lambda poison: poison.name[:60])
def test_bad_input_is_one_dead_letter_and_nothing_else(poison: Poison) -> None:
    tracker = NaiveTracker(tracking_topics=TRACKING_TOPICS, known_topics=KNOWN_TOPICS)
    tracker.create_job(*JOB)
    outcome = tracker.process(record_of(poison.value, key=b"k", headers=poison.headers))
    assert outcome.dead_letter == (poison.reason, 1, b"k", poison.value, poison.headers)
    outcome.dead_letter = None
    assert outcome == Outcome()
    assert state(tracker) == ("Waiting", 0, [], [])


@pytest.mark.parametrize("sound", SOUND, ids=lambda sound: sound.name[:60])
def test_near_misses_are_no_bad_input(sound: Poison) -> None:
    tracker = NaiveTracker(tracking_topics=TRACKING_TOPICS, known_topics=KNOWN_TOPICS)
    assert tracker.process(record_of(sound.value)).dead_letter is None


def test_every_reason_that_a_record_can_have_by_itself_is_in_the_list() -> None:
    assert {poison.reason for poison in POISON} == {
        *("not-json", "not-an-object", "missing-field", "wrong-type", "bad-job-task-id"),
        *("percentage-out-of-range", "unknown-classifier", "unknown-version", "nul-in-text"),
        *("too-large", "too-deep", "destination-not-allowed", "destination-unknown"),
    }


def test_names_of_bad_input_are_distinct() -> None:
    assert [
        name for name, count in Counter(each.name for each in [*POISON, *SOUND]).items() if count > 1
    ] == []


def test_bad_input_is_refused_whatever_its_jobs_status(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job")
    assert send(tracker, to="../x").dead_letter is not None


def test_a_destination_that_matches_no_pattern_is_not_allowed() -> None:
    tracker = NaiveTracker(destinations=["worker-*", "exact"])
    sent = {
        to: send(tracker, None, to=to).dead_letter for to in ("worker-in", "exact", "exact2", "a-worker-in")
    }
    assert {to for to, refused in sent.items() if refused} == {"exact2", "a-worker-in"}


def test_a_replayed_dead_letter_is_counted(tracker: NaiveTracker) -> None:
    headers = (("tracker-error-count", b"2"), ("tracker-error-reason", b"not-json"), ("mine", b"1"))
    letter = tracker.process(record_of(b"[]", headers=headers)).dead_letter
    assert letter is not None
    assert (letter.error_count, letter.headers) == (3, (("mine", b"1"),))


# --- creation


def test_the_same_job_twice_is_a_no_op(tracker: NaiveTracker) -> None:
    assert tracker.create_job(*JOB) == Outcome()


def test_another_job_of_the_same_name_is_a_conflict(tracker: NaiveTracker) -> None:
    with pytest.raises(Conflict):
        tracker.create_job(*JOB, description="another")


def test_a_job_without_prerequisites_is_sent_after_its_delay() -> None:
    tracker = NaiveTracker()
    assert released(tracker.create_job("acme", "now")) == ["now"]
    assert released(tracker.create_job("acme", "later", delay=10)) == []
    assert released(tracker.advance(9)) == []
    assert released(tracker.advance(1)) == ["later"]
    assert released(tracker.advance(100)) == []


def test_a_released_job_is_sent_as_a_task_message() -> None:
    tracker = NaiveTracker(
        tracking_topics=["in", "in-2"], service_url="http://x/v1", status_check_interval_s=7
    )
    (release,) = tracker.create_job(
        "b\u00fc ro", "a/b", task_classifier="W", task_api_version=2, task_data=b"x", target_pipe=None
    ).released
    assert (release.destination, release.key) == ("worker-in", "b\u00fc ro:a/b".encode())
    assert release.message == {
        "version": 3,
        "taskClassifier": "W",
        "taskApiVersion": 2,
        "taskData": base64.b64encode(b"x").decode(),
        "taskStatus": "NEW_TASK",
        "context": {},
        "to": "worker-in",
        "tracking": {
            "jobTaskId": "b\u00fc ro:a/b",
            "statusCheckIntervalMillis": 7000,
            "statusCheckUrl": "http://x/v1/partitions/b%C3%BC%20ro/jobs/a%2Fb/status?run=1",
            "trackingPipe": "in",
            "trackTo": None,
        },
        "correlationId": None,
    }


def test_a_job_that_waits_for_itself_is_refused(tracker: NaiveTracker) -> None:
    tracker.create_job("acme", "a", prerequisites=["b"])
    tracker.create_job("acme", "b", prerequisites=["c"])
    with pytest.raises(Refused, match="itself"):
        tracker.create_job("acme", "c", prerequisites=["a"])
    with pytest.raises(Refused, match="itself"):
        tracker.create_job("acme", "d", prerequisites=["d"])
    assert tracker.status("acme", "c") is None


@pytest.mark.parametrize("prerequisites", [["a", "a,pc"], [""], [" "], [",pc"], ["a:b"]])
def test_bad_prerequisites_are_refused(tracker: NaiveTracker, prerequisites: list[str]) -> None:
    with pytest.raises(Refused):
        tracker.create_job("acme", "b", prerequisites=prerequisites)


# --- release


def test_a_dependent_is_released_by_the_last_of_its_prerequisites(tracker: NaiveTracker) -> None:
    tracker.create_job("acme", "other")
    tracker.create_job("acme", "b", prerequisites=["job", "other", "job"])
    assert released(complete(tracker, "acme:job")) == []
    assert tracker.unmet_prerequisites("acme", "b") == ["other"]
    assert released(complete(tracker, "acme:other")) == ["b"]
    assert tracker.unmet_prerequisites("acme", "b") == []


def test_a_release_carries_the_correlation_id_of_the_message_that_completed_the_prerequisite(
    tracker: NaiveTracker,
) -> None:
    tracker.create_job("acme", "b", prerequisites=["job"])
    send(tracker, "acme:job.2*", correlationId="first")
    (release,) = send(tracker, "acme:job.1", correlationId="second").released
    assert release.message["correlationId"] == "second"


def test_a_prerequisite_of_another_partition_id_is_another_job(tracker: NaiveTracker) -> None:
    tracker.create_job("other", "b", prerequisites=["job"])
    assert released(complete(tracker, "acme:job")) == []


def test_the_delay_counts_from_the_last_completion(tracker: NaiveTracker) -> None:
    tracker.create_job("acme", "b", prerequisites=["job"], delay=10)
    tracker.advance(100)
    assert released(complete(tracker, "acme:job")) == []
    assert released(tracker.advance(9)) == []
    assert released(tracker.advance(1)) == ["b"]


def test_a_prerequisite_that_does_not_exist_is_waited_for() -> None:
    tracker = NaiveTracker()
    assert released(tracker.create_job("acme", "b", prerequisites=["job"])) == []
    tracker.create_job(*JOB)
    assert released(complete(tracker, "acme:job")) == ["b"]


def test_a_pre_created_prerequisite_counts_as_completed_only_where_it_does_not_exist(
    tracker: NaiveTracker,
) -> None:
    assert released(tracker.create_job("acme", "b", prerequisites=["gone,pc"])) == ["b"]
    assert released(tracker.create_job("acme", "c", prerequisites=["job,pc"])) == []
    assert released(complete(tracker, "acme:job")) == ["c"]


def test_a_completed_prerequisite_does_not_count(tracker: NaiveTracker) -> None:
    complete(tracker, "acme:job")
    assert released(tracker.create_job("acme", "b", prerequisites=["job"])) == ["b"]


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_a_prerequisite_that_failed_or_was_cancelled_refuses_the_job(tracker: NaiveTracker, end: str) -> None:
    if end == "fail":
        fail(tracker, "acme:job.1")
    else:
        tracker.cancel(*JOB)
    with pytest.raises(Refused):
        tracker.create_job("acme", "b", prerequisites=["job"])


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_dependents_of_a_job_that_is_gone_wait_on(tracker: NaiveTracker, end: str) -> None:
    tracker.create_job("acme", "b", prerequisites=["job"])
    getattr(tracker, end)(*JOB)
    assert (tracker.status("acme", "b"), tracker.unmet_prerequisites("acme", "b")) == ("Waiting", ["job"])


def test_a_deleted_prerequisite_that_comes_again_is_waited_for(tracker: NaiveTracker) -> None:
    tracker.create_job("acme", "b", prerequisites=["job"])
    tracker.delete(*JOB)
    tracker.create_job(*JOB)
    assert released(complete(tracker, "acme:job")) == ["b"]


def test_a_dependent_that_was_cancelled_is_not_sent(tracker: NaiveTracker) -> None:
    tracker.create_job("acme", "b", prerequisites=["job"])
    tracker.cancel("acme", "b")
    assert released(complete(tracker, "acme:job")) == []


def test_a_paused_dependent_is_sent_once_it_is_resumed(tracker: NaiveTracker) -> None:
    tracker.create_job("acme", "b", prerequisites=["job"])
    tracker.pause("acme", "b")
    assert released(complete(tracker, "acme:job")) == []
    assert released(tracker.resume("acme", "b")) == ["b"]
    tracker.pause("acme", "b")
    assert released(tracker.resume("acme", "b")) == []


def test_a_dependent_that_was_paused_and_resumed_is_released(tracker: NaiveTracker) -> None:
    tracker.create_job("acme", "b", prerequisites=["job"])
    tracker.pause("acme", "b")
    assert released(tracker.resume("acme", "b")) == []
    assert tracker.status("acme", "b") == "Active"
    assert released(complete(tracker, "acme:job")) == ["b"]


def test_a_dependent_is_released_whatever_was_reported_of_it_before(tracker: NaiveTracker) -> None:
    tracker.create_job("acme", "b", prerequisites=["job"])
    progress(tracker, "acme:b", 5)
    assert released(complete(tracker, "acme:job")) == ["b"]


def test_a_message_of_an_earlier_job_of_that_name_does_nothing(tracker: NaiveTracker) -> None:
    (first,) = tracker.create_job("acme", "again").released
    tracker.delete("acme", "again")
    (second,) = tracker.create_job("acme", "again").released
    urls = [each.message["tracking"]["statusCheckUrl"] for each in (first, second)]
    message = task_message("acme:again.1", status_check_url=urls[0])
    (outcome,) = tracker.process_batch([record_of(message)])
    assert (outcome.dropped, outcome.forwarded) == ("stale", [])
    assert tracker.status("acme", "again") == "Waiting"
    for url in (urls[1], STATUS_CHECK_URL, None):
        (outcome,) = tracker.process_batch([record_of(task_message("acme:again.1", status_check_url=url))])
        assert (outcome.dropped, len(outcome.forwarded)) == (None, 1)


def test_a_chain_is_released_link_by_link(tracker: NaiveTracker) -> None:
    tracker.create_job("acme", "b", prerequisites=["job"])
    tracker.create_job("acme", "c", prerequisites=["b"])
    assert released(complete(tracker, "acme:job")) == ["b"]
    assert released(complete(tracker, "acme:b")) == ["c"]


def test_a_batch_that_completes_a_whole_fan_releases_once(tracker: NaiveTracker) -> None:
    tracker.create_job("acme", "other")
    tracker.create_job("acme", "b", prerequisites=["job", "other"])
    outcomes = tracker.process_batch([record_of(task_message(f"acme:{name}")) for name in ("job", "other")])
    assert [released(each) for each in outcomes] == [[], ["b"]]


def test_jobs_of_a_suspended_partition_id_are_sent_when_it_is_resumed(tracker: NaiveTracker) -> None:
    tracker.suspend_partition("acme")
    assert released(tracker.create_job("acme", "a")) == []
    assert released(tracker.create_job("other", "a")) == ["a"]
    tracker.create_job("acme", "b", prerequisites=["job"])
    assert released(complete(tracker, "acme:job")) == []
    assert released(tracker.resume_partition("acme")) == ["a", "b"]
    assert released(tracker.resume_partition("acme")) == []


# --- failure propagation: T1 has two dependents, T2 and T3; T3 has a dependent, T4


def four_jobs(*, propagate_failures: bool) -> NaiveTracker:
    tracker = NaiveTracker(propagate_failures)
    tracker.create_job("acme", "T1")
    tracker.create_job("acme", "T2", prerequisites=["T1"])
    tracker.create_job("acme", "T3", prerequisites=["T1"])
    tracker.create_job("acme", "T4", prerequisites=["T3"])
    return tracker


def statuses(tracker: NaiveTracker) -> list[str | None]:
    return [tracker.status("acme", f"T{number}") for number in (1, 2, 3, 4)]


def test_a_failure_is_propagated_to_all_that_can_never_run() -> None:
    tracker = four_jobs(propagate_failures=True)
    fail(tracker, "acme:T1.1", "why")
    assert statuses(tracker) == ["Failed"] * 4
    for job in ("T2", "T3", "T4"):
        (shown,) = tracker.failures("acme", job)
        assert shown["root_failure"] == "acme:T1"
        assert [each["failureMessage"] for each in shown["failure_details"]] == ["why"]
        assert tracker.percentage("acme", job) == 0
        assert tracker.unmet_prerequisites("acme", job) == []


def test_a_propagated_failure_stays_when_the_root_is_repaired() -> None:
    tracker = four_jobs(propagate_failures=True)
    fail(tracker, "acme:T1")
    assert released(complete(tracker, "acme:T1")) == []
    assert statuses(tracker) == ["Completed", "Failed", "Failed", "Failed"]


def test_without_propagation_they_wait_and_run_when_the_root_is_repaired() -> None:
    tracker = four_jobs(propagate_failures=False)
    fail(tracker, "acme:T1")
    assert statuses(tracker) == ["Failed", "Waiting", "Waiting", "Waiting"]
    assert released(complete(tracker, "acme:T1")) == ["T2", "T3"]


def test_propagation_goes_through_a_diamond_once() -> None:
    tracker = four_jobs(propagate_failures=True)
    tracker.create_job("acme", "T5", prerequisites=["T2", "T4"])
    assert sorted(job for _, job in fail(tracker, "acme:T1").propagated) == ["T2", "T3", "T4", "T5"]


def test_propagation_reaches_paused_and_resumed_jobs_but_not_cancelled_ones() -> None:
    tracker = four_jobs(propagate_failures=True)
    tracker.pause("acme", "T2")
    tracker.cancel("acme", "T3")
    tracker.create_job("acme", "T5", prerequisites=["T1"])
    tracker.pause("acme", "T5")
    tracker.resume("acme", "T5")
    fail(tracker, "acme:T1")
    assert [*statuses(tracker), tracker.status("acme", "T5")] == [
        "Failed",
        "Failed",
        "Cancelled",
        "Waiting",
        "Failed",
    ]


def test_a_failure_propagates_past_prerequisites_that_can_still_complete() -> None:
    tracker = four_jobs(propagate_failures=True)
    tracker.create_job("acme", "other")
    tracker.create_job("acme", "T5", prerequisites=["T1", "other"])
    fail(tracker, "acme:T1")
    assert released(complete(tracker, "acme:other")) == []
    assert tracker.status("acme", "T5") == "Failed"


# --- cancel, pause, resume, delete


def test_what_would_make_more_work_is_held_while_a_job_is_paused_and_sent_in_order(
    tracker: NaiveTracker,
) -> None:
    tracker.pause(*JOB)
    outcomes = [send(tracker, f"acme:job.{index}", to="worker-in") for index in (1, 2, 3)]
    assert [(each.held, each.forwarded) for each in outcomes] == [(True, [])] * 3
    sent = tracker.resume(*JOB).forwarded
    names = [json.loads(each.value)["tracking"]["jobTaskId"] for each in sent]
    assert names == ["acme:job.1", "acme:job.2", "acme:job.3"]
    assert tracker.resume(*JOB).forwarded == []


def test_a_message_whose_tracking_ends_is_reported_and_forwarded_while_its_job_is_paused(
    tracker: NaiveTracker,
) -> None:
    tracker.pause(*JOB)
    outcome = send(tracker, "acme:job.1")
    assert (outcome.held, len(outcome.forwarded)) == (False, 1)
    assert (tracker.status(*JOB), tracker.percentage(*JOB)) == ("Paused", 50)


def test_a_message_with_nothing_to_send_is_not_held(tracker: NaiveTracker) -> None:
    tracker.pause(*JOB)
    assert send(tracker, to=None).held is False


@pytest.mark.parametrize("end", ["Complete", "Failed"])
def test_what_is_held_is_dropped_when_a_paused_job_ends(tracker: NaiveTracker, end: str) -> None:
    tracker.pause(*JOB)
    send(tracker, to="worker-in")
    assert tell(tracker, report("acme:job", end)).held_dropped == 1
    assert tracker.held(*JOB) == []


def test_an_exception_of_a_paused_job_is_reported(tracker: NaiveTracker) -> None:
    tracker.pause(*JOB)
    outcome = send(tracker, to="worker-in", status="RESULT_EXCEPTION")
    assert (tracker.status(*JOB), outcome.forwarded, outcome.held_dropped) == ("Failed", [], 1)


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_what_is_held_is_dropped_with_the_job(tracker: NaiveTracker, end: str) -> None:
    tracker.pause(*JOB)
    send(tracker, to="worker-in")
    assert getattr(tracker, end)(*JOB).held_dropped == 1


def test_resuming_makes_a_job_active(tracker: NaiveTracker) -> None:
    tracker.pause(*JOB)
    tracker.resume(*JOB)
    assert tracker.status(*JOB) == "Active"


@pytest.mark.parametrize(("verb", "before"), [("pause", "pause"), ("cancel", "cancel"), ("resume", None)])
def test_what_is_so_already_is_a_no_op(tracker: NaiveTracker, verb: str, before: str | None) -> None:
    if before:
        getattr(tracker, before)(*JOB)
    status = tracker.status(*JOB)
    assert getattr(tracker, verb)(*JOB) == Outcome()
    assert tracker.status(*JOB) == status


def test_a_second_cancel_changes_nothing_though_it_cascades() -> None:
    tracker = four_jobs(propagate_failures=False)
    tracker.cancel("acme", "T3")
    tracker.cancel("acme", "T3", cascade=True)
    assert tracker.status("acme", "T4") == "Waiting"


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume"])
@pytest.mark.parametrize("end", ["Complete", "Failed"])
def test_a_finished_job_refuses(tracker: NaiveTracker, verb: str, end: str) -> None:
    tell(tracker, report("acme:job", end))
    with pytest.raises(Refused):
        getattr(tracker, verb)(*JOB)


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_cancelled_job_is_neither_paused_nor_resumed(tracker: NaiveTracker, verb: str) -> None:
    tracker.cancel(*JOB)
    with pytest.raises(Refused):
        getattr(tracker, verb)(*JOB)


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "delete"])
def test_an_unknown_job_is_not_found(tracker: NaiveTracker, verb: str) -> None:
    with pytest.raises(NotFound):
        getattr(tracker, verb)("acme", "nobody")


def test_a_cancel_takes_the_dependents_along_only_if_asked_to() -> None:
    tracker = four_jobs(propagate_failures=False)
    tracker.cancel("acme", "T3")
    assert statuses(tracker) == ["Waiting", "Waiting", "Cancelled", "Waiting"]
    tracker = four_jobs(propagate_failures=False)
    tracker.cancel("acme", "T1", cascade=True)
    assert statuses(tracker) == ["Cancelled"] * 4


# --- order, repetition and batching


def after(batches: list[list[Record]]) -> tuple[Any, ...]:
    tracker = NaiveTracker()
    tracker.create_job(*JOB)
    for batch in batches:
        tracker.process_batch(batch)
    return state(tracker)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_order_repetition_and_batching_do_not_matter(data: st.DataObject) -> None:
    history = data.draw(histories(["completes", "fails", "unfinished"]))
    steps = [*history.script.body, *history.script.tail]
    random = data.draw(st.randoms(use_true_random=False))
    in_order = after([[record_for(random, step)] for step in steps])
    assert after(data.draw(permutations(history.script))) == in_order


@given(histories(["completes", "repaired"]), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_a_script_ends_as_planned(history: History, random: Any) -> None:
    tracker = NaiveTracker()
    tracker.create_job(*JOB)
    for step in history.script.body:
        tracker.process(record_for(random, step))
        assert tracker.status(*JOB) in {"Waiting", "Active"}
    for step in history.script.tail:
        tracker.process(record_for(random, step))
    completes = history.script.plan in {"completes", "repaired"}
    assert (tracker.status(*JOB) == "Completed") == completes


@given(histories(["completes", "unfinished"], events_only=True), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_a_percentage_never_falls_once_the_number_of_children_is_known(history: History, random: Any) -> None:
    tracker = NaiveTracker()
    tracker.create_job(*JOB)
    for path in history.tree.paths():
        index = history.tree.at(path).last if history.tree.at(path).children else None
        if index:
            name = ".".join(["acme:job", *map(str, path), f"{index}*"])
            progress(tracker, name, 1e-6)
    before = 0
    for step in [*history.script.body, *history.script.tail]:
        tracker.process(record_for(random, step))
        now = tracker.percentage_millionths(*JOB)
        assert now >= before
        before = now


@pytest.mark.parametrize("seed", range(5))
def test_tidy_traffic_ends_as_planned_in_any_batches(seed: int) -> None:
    traffic = Traffic(seed, tasks=20)
    actions = list(traffic.actions(1_500))
    as_cut, one_by_one = NaiveTracker(), NaiveTracker()
    forwarded: list[Any] = [[], []]
    for action in actions:
        forwarded[0] += [each for outcome in apply(as_cut, action) for each in outcome.forwarded]
        smaller = [Arrive([each]) for each in action.records] if isinstance(action, Arrive) else [action]
        for part in smaller:
            forwarded[1] += [each for outcome in apply(one_by_one, part) for each in outcome.forwarded]
    assert forwarded[0] == forwarded[1]
    assert as_cut.releases == one_by_one.releases
    ends = {"completes": "Completed", "repaired": "Completed", "fails": "Failed"}
    arrived = {record.key for action in actions if isinstance(action, Arrive) for record in action.records}
    for key, job in traffic.plans.items():
        assert state(as_cut, *key) == state(one_by_one, *key)
        if key_of(job.name) in arrived and job.plan in ends:
            assert as_cut.status(*key) == ends[job.plan], job
        assert as_cut.jobs[key].sent == job.runs


@pytest.mark.parametrize("seed", range(3))
def test_wild_traffic_is_the_same_for_the_same_seed_and_reaches_every_outcome(seed: int) -> None:
    actions, again = (list(Traffic(seed, wild=True, tasks=20).actions(3_000)) for _ in range(2))
    assert actions == again
    tracker = NaiveTracker()
    outcomes = [outcome for action in actions for outcome in apply(tracker, action)]
    dropped = {outcome.dropped for outcome in outcomes}
    assert dropped >= {"unknown", "failed", "cancelled"}
    assert any(outcome.held for outcome in outcomes)
    assert any(outcome.released for outcome in outcomes)
    assert any(isinstance(action, Drain | Advance) for action in actions)
    assert {job.status for job in tracker.jobs.values()} >= {"Waiting", "Active", "Failed", "Completed"}
