"""A job ID that is used again: messages of the deleted job count for nothing."""

from collections.abc import Callable

import pytest

from tests.support.deployment import Deployment
from tests.support.messages import STATUS_CHECK_URL, report
from tests.support.records import Record
from tracker.metrics import DROPS, REPORTS


def marked_urls(tracker: Deployment, job_id: str) -> list[str]:
    """Return the `statusCheckUrl`s of the messages that have started a job, in their order."""
    tracker.wait_until_sent()
    return [
        each.json["tracking"]["statusCheckUrl"] for each in tracker.work() if each.task == f"acme:{job_id}"
    ]


def start_again(tracker: Deployment, job_id: str, *prerequisites: str) -> None:
    tracker.client.delete(f"acme:{job_id}")
    tracker.submit(job_id, *prerequisites)


@pytest.fixture
def urls(tracker: Deployment) -> list[str]:
    """Run a job `a` twice, and a job that waits for it; return the URLs of both runs of `a`."""
    tracker.submit("a")
    tracker.submit("b", "a")
    tracker.start()
    tracker.wait_until_sent()
    start_again(tracker, "a")
    return marked_urls(tracker, "a")


def test_a_message_of_the_deleted_job_does_not_complete_the_new_one(
    tracker: Deployment, urls: list[str]
) -> None:
    old, new = urls
    tracker.process(
        tracker.message("acme:a.1*", status_check_url=old),
        tracker.more_work("acme:a.2", status_check_url=old),
        tracker.message("acme:a", status_check_url=old),
        tracker.message("acme:a.3", status="RESULT_EXCEPTION", status_check_url=old),
    )
    assert tracker.statuses("a", "b") == ["Waiting", "Waiting"]
    assert tracker.results() == []
    assert tracker.started() == ["acme:a", "acme:a"]
    assert tracker.count(DROPS) == tracker.count(DROPS, reason="stale") == 4
    assert tracker.count(REPORTS, kind="failed") == 0
    tracker.process(tracker.message("acme:a.1*", status_check_url=new))
    assert tracker.statuses("a", "b") == ["Completed", "Waiting"]
    assert len(tracker.results()) == 1
    tracker.wait_until_sent()
    assert tracker.started() == ["acme:a", "acme:a", "acme:b"]


@pytest.mark.parametrize("url", [None, STATUS_CHECK_URL, STATUS_CHECK_URL + "?run=X"])
def test_a_message_without_a_marker_counts(tracker: Deployment, urls: list[str], url: str | None) -> None:
    tracker.process(tracker.message("acme:a.1*", status_check_url=url))
    assert tracker.status("a") == "Completed"


def test_an_event_counts(tracker: Deployment, urls: list[str]) -> None:
    tracker.process(tracker.event(report("acme:a.1*", "Complete"), status_check_url=urls[0]))
    assert tracker.status("a") == "Completed"


def test_a_job_that_a_prerequisite_releases_has_a_marker_too(tracker: Deployment, urls: list[str]) -> None:
    tracker.process(tracker.message("acme:a", status_check_url=urls[1]))
    [first] = marked_urls(tracker, "b")
    start_again(tracker, "b")
    second = marked_urls(tracker, "b")[-1]
    assert len({*urls, first, second}) == 4
    tracker.process(tracker.message("acme:b.1*", status_check_url=first))
    assert tracker.status("b") == "Waiting"
    tracker.process(tracker.message("acme:b.1*", status_check_url=second))
    assert tracker.status("b") == "Completed"


def test_messages_of_the_deleted_job_are_not_held_for_the_new_one(
    tracker: Deployment, urls: list[str]
) -> None:
    old, new = urls
    tracker.client.pause("acme:a")
    stale, kept = (tracker.more_work("acme:a.1", status_check_url=url) for url in (old, new))
    tracker.process(stale, kept)
    assert tracker.rows("SELECT message_value FROM held_message") == [(kept.value,)]
    assert tracker.count(DROPS, reason="stale") == 1


def test_what_was_held_for_the_deleted_job_is_not_sent_for_the_new_one(tracker: Deployment) -> None:
    tracker.submit("a")
    tracker.start()
    tracker.wait_until_sent()
    tracker.client.pause("acme:a")
    tracker.process(tracker.more_work("acme:a.1"))
    start_again(tracker, "a")
    tracker.client.pause("acme:a")
    tracker.client.resume("acme:a")
    tracker.wait_until_sent()
    assert [each.task for each in tracker.work()] == ["acme:a", "acme:a"]


def sent_by(running: Deployment, job_id: str) -> Record:
    """Return more work of a job's present run."""
    [(key,)] = running.rows("SELECT job_key FROM job WHERE job_id = %s", job_id)
    assert key < 10  # where base 36 and decimal are the same
    return running.more_work(f"acme:{job_id}.1", status_check_url=f"/status?run={key}")


def test_what_was_dropped_is_dropped_when_it_is_redelivered(
    running: Deployment, redeliver: Callable[..., None]
) -> None:
    old = sent_by(running, "job")
    start_again(running, "job")
    redeliver(old, sent_by(running, "job"), times=3)
    assert len(running.work()) == 1


def test_what_was_to_be_forwarded_is_dropped_if_the_job_is_submitted_again_before_it_is(
    running: Deployment, redeliver: Callable[..., None]
) -> None:
    redeliver(sent_by(running, "job"), meanwhile=lambda: start_again(running, "job"))
    assert running.work() == []
    assert running.status("job") == "Waiting"
