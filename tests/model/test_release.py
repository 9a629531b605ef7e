"""How the model sends jobs whose prerequisites have completed."""

import pytest

from tests.model.examples import JOB, complete, fail, progress, released, send_message
from tests.support.messages import STATUS_CHECK_URL, record_of, task_message
from tests.support.model.naive import NaiveTracker
from tests.support.model.outcomes import Refused


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
    send_message(tracker, "acme:job.2*", correlationId="first")
    (release,) = send_message(tracker, "acme:job.1", correlationId="second").released
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


def test_a_deleted_prerequisite_that_is_recreated_is_waited_for(tracker: NaiveTracker) -> None:
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


def test_a_dependent_is_released_whatever_was_reported_on_it_before(tracker: NaiveTracker) -> None:
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
