"""What is stored of how a job went: for how long its task message is kept, and when and by what it ended."""

import pytest

from tests.support.deployment import Deployment
from tests.support.kafka import wait_until
from tests.support.messages import report

KEPT = "SELECT job_id FROM task_message JOIN job USING (tenant_key, job_key) WHERE sent_time IS NOT NULL"


def sent(tracker: Deployment, *job_ids: str) -> None:
    for job_id in job_ids:
        tracker.submit(job_id)
    tracker.start()
    tracker.wait_until_sent()


@pytest.mark.parametrize(
    ("end", "kept"), [("Progress", True), ("Failed", True), ("Complete", False), ("cancel", False)]
)
def test_the_task_message_is_kept_until_the_job_has_completed_or_was_cancelled(
    tracker: Deployment, end: str, kept: bool
) -> None:
    sent(tracker, "a")
    assert tracker.rows(KEPT) == [("a",)]
    if end == "cancel":
        tracker.client.cancel("acme:a")
    else:
        tracker.process(tracker.event(report("acme:a", end, 50 if end == "Progress" else None)))
    assert tracker.rows(KEPT) == ([("a",)] if kept else [])


def test_a_released_jobs_task_message_is_kept_too(tracker: Deployment) -> None:
    tracker.submit("b", "a")
    sent(tracker, "a")
    tracker.process(tracker.event(report("acme:a", "Complete")))
    tracker.wait_until_sent()
    assert tracker.rows(KEPT) == [("b",)]
    assert tracker.rows("SELECT prerequisite_job_ids FROM job WHERE job_id = 'b'") == [(["a"],)]


def test_a_completed_job_names_the_record_that_completed_it(tracker: Deployment) -> None:
    sent(tracker, "a", "b")
    tracker.process(tracker.progress("acme:a.1", 10), tracker.message("acme:a.1*"))
    topic = tracker.topics.tracking
    [place] = [
        f"{topic}:{kafka_partition}:{end - 1}"
        for (_, kafka_partition), end in tracker.kafka.ends(topic).items()
        if end
    ]
    ended = tracker.rows("SELECT end_record, end_time = last_update_time FROM job WHERE job_id = 'a'")
    assert ended == [(place, True)]
    assert tracker.rows("SELECT end_record, end_time FROM job WHERE job_id = 'b'") == [(None, None)]


def test_a_pause_has_a_time_until_the_job_is_resumed(tracker: Deployment) -> None:
    sent(tracker, "a")
    paused = "SELECT pause_time = last_update_time FROM job"
    tracker.client.pause("acme:a")
    assert tracker.rows(paused) == [(True,)]
    tracker.client.resume("acme:a")
    assert tracker.rows(paused) == [(None,)]
    tracker.client.cancel("acme:a")
    assert tracker.rows("SELECT end_time = last_update_time FROM job") == [(True,)]


def test_contradictory_reports_are_remembered(tracker: Deployment) -> None:
    sent(tracker, "a", "b")
    contradicted = "SELECT job_id FROM job WHERE contradicted"
    tracker.process(tracker.message("acme:a.2*"), tracker.message("acme:b.1"))
    assert tracker.rows(contradicted) == []
    tracker.process(tracker.message("acme:a.3*"))
    wait_until(lambda: tracker.rows(contradicted) == [("a",)], "remembered")


NOTES = """
    SELECT job_id, dropped, drop_reason, drop_record, dead_letters, dead_letter_reason, dead_letter_record
    FROM job_note JOIN job USING (tenant_key, job_key) ORDER BY job_id
"""


def test_dropped_messages_and_dead_letters_are_noted_of_their_job(tracker: Deployment) -> None:
    sent(tracker, "a", "b", "c")
    tracker.client.cancel("acme:b")
    lost = (
        tracker.message("acme:b.1"),
        tracker.message("acme:a.1", to="__no"),
        tracker.message("acme:unknown.1", to="__no"),
        tracker.message("acme:n\0l.1"),
        tracker.message("acme:b.2"),
        tracker.message("acme:a.1", to="__nor"),
    )
    topic = tracker.topics.tracking
    first = tracker.kafka.ends(topic)[topic, 0]
    tracker.send(*lost, kafka_partition=0)
    tracker.wait_until_processed()
    expected = [
        ("a", 0, None, None, 2, "destination-not-allowed", f"{topic}:0:{first + 5}"),
        ("b", 2, "cancelled", f"{topic}:0:{first + 4}", 0, None, None),
    ]
    assert tracker.rows(NOTES) == expected
    tracker.process(tracker.message("acme:b.3"))
    assert [row[:3] for row in tracker.rows(NOTES)] == [("a", 0, None), ("b", 3, "cancelled")]
