"""A job's status decides whether its messages are reported and forwarded."""

import pytest

from tests.support.deployment import Deployment
from tests.support.messages import report
from tracker.metrics import DROPS


def end(tracker: Deployment, how: str) -> None:
    """Bring the job to its end."""
    if how == "cancelled":
        tracker.client.cancel("acme:job")
    elif how == "unknown_job":
        tracker.client.delete("acme:job")
    else:
        status = {"failed": "Failed", "completed": "Complete"}[how]
        tracker.process(tracker.event(report("acme:job", status)))


@pytest.mark.parametrize("how", ["cancelled", "failed", "completed", "unknown_job"])
def test_messages_of_a_job_that_has_ended_are_dropped_and_counted(running: Deployment, how: str) -> None:
    end(running, how)
    before = running.rows("SELECT status, percentage, last_update_time FROM job")
    running.process(
        running.message("acme:job.1"),
        running.more_work("acme:job.2"),
        running.message("acme:job", to=None, track_to=None),
        running.message("acme:job.3", status="INVALID_TASK"),
        running.more_work("acme:job.4", status=None),
    )
    assert running.kafka.read(*running.topics[1:]) == []
    assert running.count(DROPS) == running.count(DROPS, reason=how) == 5
    assert running.rows("SELECT status, percentage, last_update_time FROM job") == before


@pytest.mark.parametrize("status", ["Waiting", "Active", "Paused"])
def test_messages_of_a_job_that_continues_are_reported_and_forwarded(
    running: Deployment, status: str
) -> None:
    if status == "Active":
        running.process(running.progress("acme:job.1", 50))
    if status == "Paused":
        running.client.pause("acme:job")
    assert running.status("job") == status
    running.process(running.message("acme:job.2"))
    assert len(running.results()) == 1
    assert running.percentage("job") > 0
    assert running.count(DROPS) == 0


def test_what_a_batch_changes_counts_for_the_next(running: Deployment) -> None:
    completing = running.message("acme:job", to=running.topics.results)
    running.stop()
    running.send(completing, running.message("acme:job.1"), running.more_work("acme:job.2"))
    running.start(scheduler=False)
    running.wait_until_processed()
    assert running.status("job") == "Completed"
    assert len(running.results() + running.work()) == 3  # they came with the batch that found it unfinished
    running.process(running.more_work("acme:job.3"))
    assert len(running.work()) == 1
    assert running.count(DROPS, reason="completed") == 1


def test_bad_input_is_refused_whatever_its_jobs_status(running: Deployment) -> None:
    running.client.cancel("acme:job")
    running.process(
        running.message("acme:job.0"),
        running.message("acme:nobody.1", to="nowhere"),
        running.message("acme:job.1", version=4),
    )
    reasons = {each.header("tracker-error-reason") for each in running.dead_letters()}
    assert reasons == {"bad-job-task-id", "destination-unknown", "unknown-version"}
    assert running.count(DROPS) == 0


def test_only_events_can_repair_a_failed_job(running: Deployment) -> None:
    running.process(running.event(report("acme:job.1*", "Failed")))
    running.process(running.message("acme:job.1*"))
    assert (running.status("job"), running.results()) == ("Failed", [])
    running.process(running.event(report("acme:job.1*", "Complete")))
    assert running.status("job") == "Completed"
