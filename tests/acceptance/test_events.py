"""Messages to the tracker itself: reports on tasks."""

from typing import Any

import pytest

from tests.support.deployment import Deployment
from tests.support.messages import event, failure, record_of, report
from tracker.metrics import DEAD_LETTERS, MESSAGES, REPORTS, REPORTS_IGNORED


def test_one_event_reports_on_many_tasks_of_many_jobs(tracker: Deployment) -> None:
    jobs = ("completes", "fails", "goes-on", "is-tried-again")
    tracker.client.submit([tracker.job(job_id) for job_id in jobs])
    tracker.start(scheduler=False)
    tracker.process(
        tracker.event(
            report("acme:completes.1", "Complete"),
            report("acme:completes.2*", "Complete"),
            report("acme:fails.7", "Failed", failure=failure("no paper")),
            report("acme:goes-on.1*", "Progress", 12.5),
            report("acme:is-tried-again.1", "Retry", retries=2),
        )
    )
    assert tracker.statuses(*jobs) == ["Completed", "Failed", "Active", "Waiting"]
    assert tracker.percentage("goes-on") == 12.5
    assert tracker.failures("fails")[0]["failureMessage"] == "no paper"
    counted = {
        kind: tracker.count(REPORTS, kind=kind) for kind in ("complete", "failed", "progress", "retry")
    }
    assert counted == {"complete": 2, "failed": 1, "progress": 1, "retry": 1}


def test_an_event_of_progress_reports_on_one_task(running: Deployment) -> None:
    running.process(running.progress("acme:job.1*", 33.3))
    assert running.percentage("job") == 33.3


def test_an_event_is_not_forwarded(running: Deployment) -> None:
    running.process(running.event(report("acme:job.1", "Complete")), running.progress("acme:job.2", 5))
    assert running.kafka.read(*running.topics[1:]) == []
    assert running.count(MESSAGES, kind="event", outcome="consumed") == 2


def test_an_event_is_known_by_its_topic_compared_without_case(running: Deployment) -> None:
    running.process(running.event(report("acme:job", "Complete"), to=running.topics.tracking.upper()))
    assert running.status("job") == "Completed"


def test_an_event_counts_whole_or_not_at_all(running: Deployment) -> None:
    good = report("acme:job.1", "Complete")
    running.process(running.event(good, report("acme:job.2", "Progress", 101), good))
    assert running.status("job") == "Waiting"
    [dead_letter] = running.dead_letters()
    assert dead_letter.header("tracker-error-reason") == "percentage-out-of-range"


def test_an_event_without_reports_does_nothing(running: Deployment) -> None:
    running.process(running.event())
    assert (running.status("job"), running.count(DEAD_LETTERS)) == ("Waiting", 0)


@pytest.mark.parametrize(
    ("classifier", "api_version", "reason"),
    [
        ("SomebodyElse", 1, "unknown-classifier"),
        ("trackingreporttask", 1, "unknown-classifier"),
        ("TrackingReportTask", 2, "unknown-version"),
        ("JobTrackingWorker", 2, "unknown-version"),
    ],
)
def test_another_classifier_or_a_newer_version_is_refused(
    running: Deployment, classifier: str, api_version: int, reason: str
) -> None:
    data: dict[str, Any] = {"trackingReports": [], "jobTaskId": "acme:job", "estimatedPercentageCompleted": 5}
    value = event(classifier, data, to=running.topics.tracking, api_version=api_version)
    running.process(record_of(value))
    [dead_letter] = running.dead_letters()
    assert (dead_letter.header("tracker-error-reason"), dead_letter.value) == (reason, value)


def test_reports_on_jobs_that_are_unknown_or_have_ended_are_ignored_and_counted(tracker: Deployment) -> None:
    tracker.client.submit([tracker.job(job_id) for job_id in ("completed", "cancelled", "other")])
    tracker.client.cancel("acme:cancelled")
    tracker.start(scheduler=False)
    tracker.process(tracker.event(report("acme:completed", "Complete")))
    reports = [report(f"acme:{job}", "Failed") for job in ("completed", "cancelled", "nobody")]
    tracker.process(tracker.event(*reports, report("acme:other", "Complete")))
    assert tracker.statuses("completed", "cancelled", "other") == ["Completed", "Cancelled", "Completed"]
    ignored = ("completed", "cancelled", "unknown_job")
    assert [tracker.count(REPORTS_IGNORED, reason=reason) for reason in ignored] == [1, 1, 1]


def test_only_progress_needs_a_percentage_and_the_others_may_have_one(running: Deployment) -> None:
    running.process(
        running.event(
            report("acme:job.1", "Retry", 5),
            report("acme:job.2", "Failed", 50.5),
            report("acme:job.3", "Complete", 100),
        )
    )
    assert running.dead_letters() == []
    assert [each["jobTaskId"] for each in running.failures("job")] == ["acme:job.2"]
    running.process(running.event(report("acme:job.1", "Progress")))
    [dead_letter] = running.dead_letters()
    assert dead_letter.header("tracker-error-reason") == "missing-field"


def test_reports_name_jobs_in_the_default_partition_id_too(tracker: Deployment) -> None:
    tracker.submit("job", partition_id="default")
    tracker.submit("job")
    tracker.start(scheduler=False)
    tracker.process(tracker.event(report("job.1*", "Complete")))
    assert tracker.client.get("job").status == "Completed"
    assert tracker.client.get("default:job").status == "Completed"
    assert tracker.status("job") == "Waiting"
