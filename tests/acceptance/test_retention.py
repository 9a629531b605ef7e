"""Jobs that ended long ago are removed, by the active scheduler, and nothing is lost by it."""

from contextlib import closing
from pathlib import Path

import pytest

import tracker.scheduler.retention
from tests.acceptance.old_jobs import make_old
from tests.support import invariants
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import wait_until
from tests.support.load import Load
from tests.support.messages import report
from tests.support.program import Program
from tests.support.redelivery import FailingPublish
from tracker.errors import JobNotFound
from tracker.failpoints import VARIABLE
from tracker.metrics import DROPS, JOBS_REMOVED, REPORTS_IGNORED
from tracker.store.connect import connect
from tracker.store.schedule_store import ScheduleStore

HOUR = {"TRACKER_RETENTION_S": "3600", "TRACKER_RETENTION_FAILED_S": "3600"}


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweep ten times a second."""
    monkeypatch.setattr(tracker.scheduler.retention, "_SWEEP_EVERY_S", (0.1, 0.1))


@pytest.fixture
def retaining(deploy: Deploy) -> Deployment:
    """A deployment that keeps jobs for an hour, and nothing running yet."""
    return deploy(**HOUR)


def there(deployment: Deployment) -> set[str]:
    return {job.id for job in deployment.client.list(limit=0)}


def wait_until_there(deployment: Deployment, *job_ids: str) -> None:
    wait_until(lambda: there(deployment) == set(job_ids), f"only {job_ids} there")


def wait_until_counted(deployment: Deployment, count: int, **labels: str) -> None:
    """Wait until so many have been counted, which is a moment after they have gone."""
    wait_until(lambda: deployment.count(JOBS_REMOVED, **labels) == count, f"{count} counted")


def wait_for_sweeps(deployment: Deployment) -> None:
    """Wait until two sweeps have come to their end: a job that the second removes is there when it begins."""
    for _ in range(2):
        deployment.submit("mark")
        deployment.database.execute("UPDATE job SET status = 4 WHERE job_id = 'mark'")
        make_old(deployment, "mark")
        wait_until(lambda: "mark" not in there(deployment), "a sweep")


def test_it_is_off_unless_it_is_asked_for(tracker: Deployment) -> None:
    tracker.submit("old")
    tracker.client.cancel("acme:old")
    make_old(tracker, "old")
    with tracker.running(workers=0):
        assert not tracker.schedulers[0].lifeline.recorder.snapshot().get(JOBS_REMOVED.name)
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        retention = f"{sessions} AND application_name = 'tracker-retention'"
        assert tracker.rows(retention) == [(0,)]
    assert there(tracker) == {"old"}


def test_jobs_are_removed_after_their_time_and_not_before(retaining: Deployment) -> None:
    ended, open_ones = ["failed", "cancelled", "completed"], ["waiting", "active", "paused"]
    for job_id in (*ended, *open_ones, "young"):
        retaining.submit(job_id)
    retaining.start()
    retaining.wait_until_sent()
    retaining.process(
        retaining.message("acme:failed.1", status="INVALID_TASK"),
        retaining.message("acme:completed.1*"),
        retaining.message("acme:young.1*"),
        retaining.message("acme:active.1"),
        retaining.message("acme:cancelled.1"),
    )
    retaining.client.cancel("acme:cancelled")
    retaining.client.pause("acme:paused")
    make_old(retaining, *ended, *open_ones)
    wait_until_there(retaining, *open_ones, "young")
    for status in ended:
        wait_until_counted(retaining, 1, status=status)
    make_old(retaining, "young")
    wait_until_there(retaining, *open_ones)
    wait_until(lambda: retaining.rows("SELECT count(*) FROM removed_job") == [(0,)], "nothing left of them")
    invariants.check_at_rest(retaining)


def test_what_comes_late_for_a_removed_job_is_dropped_as_unknown(retaining: Deployment) -> None:
    retaining.submit("gone")
    retaining.start()
    retaining.process(retaining.message("acme:gone.1*"))
    make_old(retaining, "gone")
    wait_until_there(retaining)
    with pytest.raises(JobNotFound):
        retaining.look("gone")
    retaining.process(retaining.message("acme:gone.2"), retaining.event(report("acme:gone.3", "Complete")))
    assert retaining.count(DROPS, reason="unknown_job") == 1
    assert retaining.count(REPORTS_IGNORED, reason="unknown_job") == 1
    assert len(retaining.results()) == 1


def test_a_removed_job_can_be_submitted_again(retaining: Deployment) -> None:
    retaining.submit("job", name="first")
    retaining.start()
    retaining.process(retaining.message("acme:job.1*"))
    make_old(retaining, "job")
    wait_until_there(retaining)
    retaining.submit("job", name="second")
    retaining.wait_until_sent()
    retaining.process(retaining.message("acme:job.1"))
    assert (retaining.look("job").name, retaining.status("job")) == ("second", "Active")
    assert retaining.started() == ["acme:job", "acme:job"]


def test_a_failed_job_that_others_wait_for_stays_and_can_be_repaired(retaining: Deployment) -> None:
    retaining.submit("failed")
    retaining.submit("dependent", "failed")
    retaining.start()
    retaining.process(retaining.message("acme:failed.1*", status="INVALID_TASK"))
    make_old(retaining, "failed")
    wait_for_sweeps(retaining)
    assert retaining.status("failed") == "Failed"
    retaining.process(retaining.event(report("acme:failed.1*", "Complete")))
    assert retaining.status("failed") == "Completed"
    retaining.wait_until_sent()
    assert "acme:dependent" in retaining.started()
    make_old(retaining, "failed")
    wait_until_there(retaining, "dependent")


def test_a_job_stays_until_its_messages_are_known_to_be_published(
    retaining: Deployment, failing_publish: FailingPublish
) -> None:
    """They are redelivered, and are forwarded only if their job is there."""
    retaining.submit("job")
    retaining.start()
    retaining.wait_until_sent()
    with failing_publish.times(2):
        retaining.send(retaining.message("acme:job.1*"))
        failing_publish.wait_until_applied()
        assert retaining.status("job") == "Completed"
        make_old(retaining, "job")
        with pytest.raises(AssertionError):  # retention waits with all that it has found
            wait_until(lambda: "job" not in there(retaining), "the job removed", timeout_s=1.5)
    retaining.wait_until_processed()
    assert len(retaining.results()) == 1
    wait_until_there(retaining)


def test_a_job_that_is_locked_holds_up_no_other(
    retaining: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker.scheduler.retention, "_STEP_JOBS", 1)
    for job_id in ("locked", "free"):
        retaining.submit(job_id)
    retaining.database.execute("UPDATE job SET status = 5")
    make_old(retaining, "locked", "free")
    with closing(connect(retaining.database_url)) as session:
        session.execute("SELECT FROM task_message JOIN job USING (tenant_key, job_key)"
                        " WHERE job_id = 'locked' FOR UPDATE OF task_message")  # fmt: skip
        with retaining.running(workers=0):
            wait_until_there(retaining, "locked")
            session.rollback()
            wait_until_there(retaining)


def test_of_two_schedulers_the_active_one_removes(retaining: Deployment) -> None:
    names = [f"job-{number}" for number in range(3_000)]
    retaining.client.submit([retaining.job(name) for name in names])
    retaining.client.cancel([f"acme:{name}" for name in names])
    make_old(retaining, *names)
    retaining.start_scheduler()
    retaining.start_scheduler()
    wait_until_there(retaining)
    wait_until_counted(retaining, 3_000)
    assert sorted(member.count(JOBS_REMOVED) for member in retaining.schedulers) == [0, 3_000]
    active = max(retaining.schedulers, key=lambda member: member.count(JOBS_REMOVED))
    retaining.schedulers.remove(active)
    assert active.stop() == 0
    retaining.submit("job")
    retaining.client.cancel("acme:job")
    make_old(retaining, "job")
    wait_until_there(retaining)


def test_what_a_killed_scheduler_has_begun_is_finished(deploy: Deploy, tmp_path: Path) -> None:
    """It is killed after each second step of 200 jobs, whose tasks are left then."""
    retaining = deploy(**HOUR)
    names = [f"job-{number}" for number in range(700)]
    retaining.client.submit([retaining.job(name) for name in names])
    retaining.client.cancel([f"acme:{name}" for name in names])
    retaining.database.execute(
        "INSERT INTO sibling_tasks (tenant_key, job_key, path, number, tasks)"
        " SELECT tenant_key, job_key, '1', 0, '' FROM job"
    )
    make_old(retaining, *names)
    failpoints = tmp_path / "failpoints"
    failpoints.write_text("retention-after-jobs kill 2")
    with Program({**retaining.variables, "TRACKER_WORKERS": "1", VARIABLE: str(failpoints)}) as program:
        program.wait_for("child ended", child="scheduler", times=2)
        wait_until_there(retaining)
        left = "SELECT (SELECT count(*) FROM sibling_tasks) + (SELECT count(*) FROM removed_job)"
        wait_until(lambda: retaining.rows(left) == [(0,)], "nothing left of them")
        assert program.stop() == 0


def test_nothing_is_lost_while_jobs_are_removed_as_fast_as_they_end(deploy: Deploy) -> None:
    retaining = deploy(TRACKER_RETENTION_S="1", TRACKER_BATCH_SIZE="200")
    load = Load(retaining, jobs=400, messages=8_000)
    load.submit()
    retaining.start(workers=2)
    retaining.wait_until_sent()
    load.send()
    retaining.wait_until_processed()
    wait_until_there(retaining)
    wait_until_counted(retaining, 400, status="completed")
    assert retaining.count(DROPS) == 0
    assert len(retaining.results()) == 8_000
    invariants.check_at_rest(retaining)


def test_a_scheduler_that_is_not_active_any_more_removes_nothing(
    retaining: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    retaining.start(workers=0)
    sessions = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = "
    )
    wait_until(lambda: retaining.rows(f"{sessions}'tracker-retention'") == [(1,)], "retention at work")
    monkeypatch.setattr(ScheduleStore, "try_lock", lambda _: False)
    retaining.database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'tracker-scheduler' AND datname = current_database()"
    )
    wait_until(lambda: retaining.rows(f"{sessions}'tracker-retention'") == [(0,)], "retention at rest")
