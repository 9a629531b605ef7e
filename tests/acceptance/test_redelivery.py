"""Records that are applied and not published are redelivered: they change nothing, and are published then."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support import invariants
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.messages import report
from tests.support.redelivery import FailingPublish
from tracker.metrics import DROPS, MESSAGES


@pytest.fixture
def tracker(deploy: Deploy, delivery: str) -> Deployment:
    """A deployment with each way of delivery."""
    return deploy(TRACKER_DELIVERY=delivery)


def redelivered(running: Deployment) -> float:
    return running.count(MESSAGES, outcome="redelivered")


def test_they_are_forwarded_then_and_once(running: Deployment, redeliver: Callable[..., None]) -> None:
    sent = [running.more_work(f"acme:job.{number}") for number in range(1, 101)]
    redeliver(*sent, times=3)
    assert [each.value for each in running.work()] == [each.value for each in sent]
    assert redelivered(running) == 100


def test_they_change_nothing(running: Deployment, redeliver: Callable[..., None]) -> None:
    state = "SELECT * FROM task_block", "SELECT * FROM sibling_tasks", "SELECT status, percentage FROM job"
    before: list[Any] = []
    redeliver(
        running.message("acme:job.1"),
        running.message("acme:job.2.1"),
        running.progress("acme:job.3", 5),
        running.event(report("acme:job.4", "Complete")),
        running.message("acme:job.5", status="INVALID_TASK"),
        meanwhile=lambda: before.extend(running.rows(each) for each in state),
    )
    assert [running.rows(each) for each in state] == before
    assert len(running.results()) == 3


def test_the_record_that_completed_its_job_is_forwarded(
    running: Deployment, redeliver: Callable[..., None]
) -> None:
    redeliver(running.message("acme:job.1*"), meanwhile=lambda: running.look("job").status.ended)
    assert (running.status("job"), len(running.results())) == ("Completed", 1)
    assert running.count(DROPS) == 0


def test_the_record_that_failed_its_job_is_forwarded(
    running: Deployment, redeliver: Callable[..., None]
) -> None:
    redeliver(running.more_work("acme:job.1", status="RESULT_EXCEPTION"), running.more_work("acme:job.2"))
    assert (running.status("job"), len(running.work())) == ("Failed", 2)


def test_what_was_dropped_is_dropped_again_though_its_job_is_there_now(
    running: Deployment, redeliver: Callable[..., None]
) -> None:
    redeliver(
        running.message("acme:later.1*"),
        running.more_work("acme:job.1"),
        meanwhile=lambda: running.submit("later"),
    )
    assert (running.status("later"), running.results()) == ("Waiting", [])
    assert len(running.work()) == 1


def test_what_was_dropped_is_noted_once(running: Deployment, redeliver: Callable[..., None]) -> None:
    running.client.cancel("acme:job")
    redeliver(running.message("acme:job.1"), times=3)
    assert running.rows("SELECT dropped FROM job_note") == [(1,)]


def test_what_was_held_is_held_once(running: Deployment, redeliver: Callable[..., None]) -> None:
    running.client.pause("acme:job")
    sent = [running.more_work(f"acme:job.{number}") for number in range(1, 11)]
    redeliver(*sent, times=3)
    assert running.rows("SELECT count(*) FROM held_message") == [(10,)]
    assert running.work() == []


def test_what_was_held_and_is_resumed_meanwhile_is_sent_once(
    running: Deployment, redeliver: Callable[..., None]
) -> None:
    running.process(running.progress("acme:job", 1))  # reported early: it is sent all the same, once resumed
    running.client.pause("acme:job")
    running.start_scheduler()
    sent = [running.more_work(f"acme:job.{number}") for number in range(1, 11)]

    def resume() -> None:
        running.client.resume("acme:job")
        running.wait_until_sent()

    redeliver(*sent, meanwhile=resume)
    running.wait_until_sent()
    assert running.started() == ["acme:job"]
    assert [each.value for each in running.work() if each.task != "acme:job"] == [each.value for each in sent]


def test_what_was_to_be_forwarded_is_not_held_though_its_job_is_paused_now(
    running: Deployment, redeliver: Callable[..., None]
) -> None:
    redeliver(running.more_work("acme:job.1"), meanwhile=lambda: running.client.pause("acme:job"))
    assert len(running.work()) == 1
    assert running.rows("SELECT count(*) FROM held_message") == [(0,)]


@pytest.mark.parametrize("verb", ["cancel", "delete"])
def test_a_cancel_or_delete_in_between_drops_what_would_have_been_forwarded(
    running: Deployment, redeliver: Callable[..., None], verb: str
) -> None:
    running.submit("other")
    redeliver(
        running.more_work("acme:job.1"),
        running.message("acme:job.2"),
        running.message("acme:other.1"),
        meanwhile=lambda: getattr(running.client, verb)("acme:job"),
    )
    assert running.work() == []
    assert [each.json["tracking"] for each in running.results()] == [None]


def test_a_dead_letter_is_one_again_though_its_topic_is_there_now(
    running: Deployment, redeliver: Callable[..., None]
) -> None:
    later = running.topics.work + "-later"

    def create() -> None:
        running.kafka.create({later: 1})
        for worker in running.workers:
            assert worker.ready

    redeliver(
        running.message("acme:job.1", to=later, track_to=later),
        running.message("acme:job.0"),
        running.message("acme:job.2"),
        meanwhile=create,
    )
    reasons = [each.header("tracker-error-reason") for each in running.dead_letters()]
    assert reasons == ["destination-unknown", "bad-job-task-id"]
    assert (running.kafka.read(later), len(running.results())) == ([], 1)


def test_what_the_database_refused_is_a_dead_letter_again(
    running: Deployment, redeliver: Callable[..., None]
) -> None:
    running.database.execute("ALTER TABLE task_failure ADD CHECK (failure_message <> 'wrong words')")
    bad = running.message("acme:job.1", status="INVALID_TASK", task_data=b"wrong words")
    redeliver(bad, running.message("acme:job.2"), running.message("acme:job.3"), times=2)
    reasons = [each.header("tracker-error-reason") for each in running.dead_letters()]
    assert reasons == ["database-rejected"]
    assert (running.status("job"), len(running.results())) == ("Active", 2)


def test_a_release_is_sent_once_with_the_same_task_id(
    running: Deployment, redeliver: Callable[..., None]
) -> None:
    running.submit("dependent", "job")
    ids: list[Any] = []
    outbox = "SELECT task_id FROM outbox"
    redeliver(
        running.message("acme:job", correlationId="c-1"),
        meanwhile=lambda: ids.extend(running.rows(outbox)),
        times=2,
    )
    [started] = running.work()
    assert (started.json["taskId"],) == ids[0]
    assert started.json["correlationId"] == "c-1"
    running.wait_until_sent()


@pytest.mark.parametrize("verb", ["cancel", "delete"])
def test_a_dependent_that_is_cancelled_or_deleted_in_between_is_not_sent(
    running: Deployment, redeliver: Callable[..., None], verb: str
) -> None:
    running.submit("dependent", "job")
    redeliver(running.message("acme:job"), meanwhile=lambda: getattr(running.client, verb)("acme:dependent"))
    assert running.work() == []
    running.wait_until_sent()


def test_old_and_new_records_may_come_in_one_batch(
    running: Deployment, redeliver: Callable[..., None]
) -> None:
    first = [running.more_work(f"acme:job.{number}") for number in range(1, 51)]
    second = [running.more_work(f"acme:job.{number}") for number in range(51, 101)]
    redeliver(*first, meanwhile=lambda: running.send(*second, running.message("acme:job.1")))
    assert [each.value for each in running.work()] == [each.value for each in [*first, *second]]
    assert running.percentage("job") == 50
    # On a busy machine the second batch has been applied, too, when the first one is abandoned.
    assert redelivered(running) in {50, 101}


def test_another_worker_publishes_what_one_has_applied_before_it_died(
    deploy: Deploy, failing_publish: FailingPublish
) -> None:
    tracker = deploy()
    tracker.client.submit([tracker.job("job"), tracker.job("dependent", "job")])
    tracker.start(scheduler=False)
    names = [*(f"acme:job.{number}" for number in range(1, 50)), "acme:job.50*"]
    with failing_publish.times(1):
        tracker.send(*map(tracker.message, names))
        failing_publish.wait_until_applied()
        tracker.workers[0].lifeline.stopping.set()
    tracker.stop()
    assert tracker.results() == []
    tracker.start(scheduler=False)
    tracker.wait_until_processed()
    assert (tracker.status("job"), len(tracker.results())) == ("Completed", 50)
    assert tracker.started() == ["acme:dependent"]
    invariants.check_at_rest(tracker)
