"""Rules for events and for the names in them."""

from tests.fold.records import completed, event, failed, reported
from tests.fold.trackers import NOT_SENT, Tracker
from tests.support.messages import progress_event, record_of, report, tracking_report
from tracker.identifiers import JobName

# --- names


def test_without_a_partition_id_it_is_the_default_one(tracker: Tracker) -> None:
    job = JobName("default", "job")
    tracker.create(job)
    tracker.apply(event(report("job", "Complete")))
    assert (tracker.state(job).status, tracker.status) == ("Completed", "Waiting")


def test_a_task_is_the_same_with_and_without_its_mark(tracker: Tracker) -> None:
    tracker.apply(completed("3", "3*"))
    assert tracker.missing == [("acme:job", 1, 2)]


# --- events


def test_an_event_may_name_its_topic_in_any_case(tracker: Tracker) -> None:
    tracker.apply(record_of(tracking_report(report("acme:job", "Complete"), to="TracKing")))
    assert tracker.status == "Completed"


def test_an_event_of_progress_on_one_task(tracker: Tracker) -> None:
    assert tracker.apply(record_of(progress_event("acme:job", 12.5))).fates == [NOT_SENT]
    assert (tracker.percentage, tracker.status) == (12_500_000, "Active")


def test_one_event_may_report_on_many_jobs(tracker: Tracker) -> None:
    other = JobName("acme", "other")
    tracker.create(other)
    names = ("acme:job", "acme:nobody", "acme:other")
    result = tracker.apply(event(*(report(name, "Complete") for name in names)))
    assert (tracker.status, tracker.state(other).status) == ("Completed", "Completed")
    assert result.ignored == {"unknown": 1}


def test_an_event_with_one_bad_report_is_not_applied_at_all(tracker: Tracker) -> None:
    assert tracker.apply(completed("1", "0")).fates == [("refused", "bad-job-task-id")]
    assert tracker.status == "Waiting"


def test_no_reports_change_nothing(tracker: Tracker) -> None:
    before = tracker.state()
    assert tracker.apply(event()) == ([NOT_SENT], {}, {}, None)
    assert tracker.state() == before


def test_a_retry_report_changes_nothing(tracker: Tracker) -> None:
    tracker.apply(reported("1*", "Retry", retries=2))
    assert (tracker.status, tracker.missing) == ("Waiting", [])


def test_a_failure_without_details_is_unspecified(tracker: Tracker) -> None:
    tracker.apply(reported("1", "Failed"))
    assert tracker.failures["acme:job.1"][0] == "unspecified"


def test_reports_on_ended_jobs_are_ignored(tracker: Tracker) -> None:
    tracker.command("cancel")
    assert tracker.apply(failed("1")).ignored == {"cancelled": 1}
    assert tracker.status == "Cancelled"
