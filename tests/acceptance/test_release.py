"""Jobs are sent once nothing holds them back, and sent once."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from tests.support.deployment import ACME, Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import Received, wait_until
from tests.support.messages import encode, report
from tests.support.times import is_recent
from tracker import JobRefused, NewTask
from tracker.metrics import BATCHES, RELEASES


def complete(tracker: Deployment, *job_ids: str) -> None:
    """Have one event complete jobs."""
    tracker.process(tracker.event(*(report(f"acme:{job_id}", "Complete") for job_id in job_ids)))


def submit(tracker: Deployment, **prerequisites: str) -> None:
    """Create jobs: `submit(tracker, a="", b="a")`."""
    tracker.client.submit([tracker.job(name, *names.split()) for name, names in prerequisites.items()])


# --- the message


def task_message(tracker: Deployment, partition_id: str, job_id: str, correlation_id: str | None) -> object:
    """Return the task message of a job, but for what is new each time."""
    [(run,)] = tracker.rows("SELECT job_key FROM job WHERE job_id = %s AND job_key < 10", job_id)
    return {
        "version": 3,
        "taskClassifier": "DocumentWorker",
        "taskApiVersion": 1,
        "taskData": "eyJhbnkiOiJvYmplY3QifQ==",
        "taskStatus": "NEW_TASK",
        "context": {},
        "to": tracker.topics.work,
        "tracking": {
            "jobTaskId": f"{partition_id}:{job_id}",
            "statusCheckIntervalMillis": 7_000,
            "statusCheckUrl": "http://jobs:8080/v1/partitions/b%C3%BCro%201/jobs/a%20%26%20b%2Fc/status"
            f"?run={run}",
            "trackingPipe": tracker.topics.tracking,
            "trackTo": tracker.topics.results,
        },
    } | ({} if correlation_id is None else {"correlationId": correlation_id})


def without_what_is_new(received: Received) -> object:
    """Return the message without the parts that are new each time, which must be sound."""
    message = received.json
    uuid.UUID(message.pop("taskId"))
    assert is_recent(message["tracking"].pop("lastStatusCheckTime"))
    return message


@pytest.mark.parametrize("correlation_id", [None, "c-7"])
def test_a_job_is_sent_as_a_task_message(deploy: Deploy, correlation_id: str | None) -> None:
    tracker = deploy(TRACKER_SERVICE_URL="http://jobs:8080/v1", TRACKER_STATUS_CHECK_INTERVAL_SECONDS="7")
    partition_id, job_id = "büro 1", "a & b/c"
    prerequisites = [] if correlation_id is None else ["first"]
    tracker.submit("first", partition_id=partition_id)
    tracker.submit(job_id, *prerequisites, partition_id=partition_id)
    tracker.start()
    if correlation_id:
        tracker.process(tracker.message("büro 1:first", correlationId=correlation_id))
    tracker.wait_until_sent()
    [sent] = [each for each in tracker.work() if each.task == f"{partition_id}:{job_id}"]
    assert without_what_is_new(sent) == task_message(tracker, partition_id, job_id, correlation_id)
    assert (sent.key, sent.headers) == (f"{partition_id}:{job_id}".encode(), ())


def test_each_job_has_a_task_id_of_its_own(tracker: Deployment) -> None:
    submit(tracker, a="", b="", c="a", d="a")
    tracker.start()
    complete(tracker, "a")
    tracker.wait_until_sent()
    assert len({each.json["taskId"] for each in tracker.work()}) == 4


def test_the_correlation_id_is_that_of_the_message_that_completed_the_last_prerequisite(
    tracker: Deployment,
) -> None:
    submit(tracker, a="", b="", c="a b")
    tracker.start(scheduler=False)
    tracker.process(tracker.message("acme:a", correlationId="first"))
    tracker.process(tracker.message("acme:b", correlationId="naïve\0"))
    [sent] = tracker.work()
    assert sent.json["correlationId"] == "naïve\0"


def test_task_data_may_be_an_object_text_or_base64(tracker: Deployment) -> None:
    kinds: dict[str, tuple[dict[str, Any] | str, str, bytes]] = {
        "object": ({"é": 1}, "utf8", '{"é":1}'.encode()),
        "text": ("naïve", "utf8", "naïve".encode()),
        "base64": ("AP8=", "base64", b"\0\xff"),
    }
    for job_id, (data, encoding, _) in kinds.items():
        task = NewTask(
            task_classifier="C",
            task_api_version=2,
            task_data=data,
            task_data_encoding=encoding,
            task_pipe=tracker.topics.work,
        )
        tracker.submit(job_id, task=task)
    tracker.start(workers=0)
    tracker.wait_until_sent()
    sent = {each.json["tracking"]["jobTaskId"].partition(":")[2]: each.json for each in tracker.work()}
    assert {job: each["taskData"] for job, each in sent.items()} == {
        job: encode(raw) for job, (_, _, raw) in kinds.items()
    }
    assert sent["text"]["tracking"]["trackTo"] is None


# --- when


def test_a_job_without_prerequisites_is_sent_at_once(tracker: Deployment) -> None:
    tracker.start()
    submit(tracker, a="", b="")
    tracker.wait_until_sent()
    assert sorted(tracker.started()) == ["acme:a", "acme:b"]
    assert tracker.statuses("a", "b") == ["Waiting", "Waiting"]


def test_a_job_is_sent_when_its_last_prerequisite_completes(tracker: Deployment) -> None:
    submit(tracker, a="", b="", c="a b")
    tracker.start(scheduler=False)
    complete(tracker, "a")
    assert (tracker.started(), tracker.look("c").prerequisite_job_ids) == ([], ["b"])
    complete(tracker, "b")
    assert (tracker.started(), tracker.look("c").prerequisite_job_ids) == (["acme:c"], [])
    assert tracker.count(RELEASES) == 1


def test_a_chain_is_released_link_by_link(tracker: Deployment) -> None:
    names = [f"link-{number}" for number in range(8)]
    tracker.client.submit(
        [tracker.job(name, *before) for name, before in zip(names, [[], *([n] for n in names)], strict=False)]
    )
    tracker.start(scheduler=False)
    for done, name in enumerate(names[:-1]):
        complete(tracker, name)
        assert tracker.started() == [f"acme:{each}" for each in names[1 : done + 2]]


def test_a_diamond_is_released_once(tracker: Deployment) -> None:
    submit(tracker, top="", left="top", right="top", bottom="left right")
    tracker.start(scheduler=False)
    complete(tracker, "top")
    assert sorted(tracker.started()) == ["acme:left", "acme:right"]
    complete(tracker, "left", "right")
    assert sorted(tracker.started()) == ["acme:bottom", "acme:left", "acme:right"]


def test_a_chain_that_completes_in_one_batch_is_released_from_its_end(tracker: Deployment) -> None:
    submit(tracker, a="", b="a", c="b")
    tracker.start(scheduler=False)
    complete(tracker, "a", "b")
    assert tracker.started() == ["acme:c"]  # b has completed itself by then


def test_one_job_may_release_10_000(tracker: Deployment) -> None:
    names = [f"dependent-{number}" for number in range(10_000)]
    tracker.client.submit([tracker.job("root"), *(tracker.job(name, "root") for name in names)])
    tracker.start(scheduler=False)
    complete(tracker, "root")
    assert sorted(tracker.started()) == sorted(f"acme:{name}" for name in names)
    wait_until(lambda: tracker.rows("SELECT count(*) FROM outbox") == [(0,)], "the outbox empty")


def test_one_job_may_wait_for_10_000(tracker: Deployment) -> None:
    names = [f"prerequisite-{number}" for number in range(10_000)]
    tracker.client.submit([*(tracker.job(name) for name in names), tracker.job("last", *names)])
    tracker.start(workers=2, scheduler=False)
    tracker.process(*(tracker.message(f"acme:{name}") for name in names[1:]))
    assert tracker.look("last").prerequisite_job_ids == names[:1]
    assert tracker.started() == []
    complete(tracker, names[0])
    assert tracker.started() == ["acme:last"]


def test_prerequisites_may_complete_at_the_same_moment_on_different_workers(deploy: Deploy) -> None:
    tracker = deploy(partitions=2)
    rounds = 30
    for number in range(rounds):
        tracker.client.submit(
            [tracker.job(f"{side}-{number}") for side in ("left", "right")]
            + [tracker.job(f"bottom-{number}", f"left-{number}", f"right-{number}")]
        )
    tracker.start(workers=2, scheduler=False)
    for number in range(rounds):
        for kafka_partition, side in enumerate(("left", "right")):
            message = tracker.message(f"acme:{side}-{number}")
            tracker.kafka.produce(message, tracker.topics.tracking, kafka_partition)
        if number % 3 == 0:
            tracker.kafka.flush()
    tracker.kafka.flush()
    tracker.wait_until_processed()
    assert sorted(tracker.started()) == sorted(f"acme:bottom-{number}" for number in range(rounds))
    assert all(member.count(BATCHES) > 0 for member in tracker.workers)


def test_a_delay_counts_from_when_the_job_could_have_been_sent(tracker: Deployment) -> None:
    tracker.client.submit([tracker.job("now", delay=1), tracker.job("a"), tracker.job("later", "a", delay=2)])
    job = (
        "SELECT create_time, last_update_time, eligible_time FROM job LEFT JOIN task_message USING (job_key)"
    )
    [(submitted, _, eligible)] = tracker.rows(f"{job} WHERE job_id = 'now'")
    assert eligible - submitted == timedelta(seconds=1)
    tracker.start()
    wait_until(lambda: "acme:now" in tracker.started(), "the delayed job")
    assert tracker.rows("SELECT clock_timestamp() >= %s", eligible) == [(True,)]
    assert tracker.schedulers[0].stop() == 0
    complete(tracker, "a")
    [(_, completed, _)] = tracker.rows(f"{job} WHERE job_id = 'a'")
    [(_, _, eligible)] = tracker.rows(f"{job} WHERE job_id = 'later'")
    assert eligible - completed == timedelta(seconds=2)
    tracker.start_scheduler()
    wait_until(lambda: "acme:later" in tracker.started(), "the delayed dependent")
    assert tracker.rows("SELECT clock_timestamp() >= %s", eligible) == [(True,)]
    tracker.wait_until_sent()
    assert sorted(tracker.started()) == ["acme:a", "acme:later", "acme:now"]


# --- prerequisites


def test_a_prerequisite_need_not_exist_yet(tracker: Deployment) -> None:
    submit(tracker, b="a")
    tracker.start(scheduler=False)
    complete(tracker, "a")  # nobody knows it
    assert tracker.look("b").prerequisite_job_ids == ["a"]
    submit(tracker, a="")
    complete(tracker, "a")
    assert tracker.started() == ["acme:b"]


def test_a_pre_created_prerequisite_that_does_not_exist_counts_as_completed(tracker: Deployment) -> None:
    submit(tracker, here="", a="gone,pc", b="here,pc", c="gone,pc here")
    tracker.start()
    tracker.wait_until_sent()
    assert sorted(tracker.started()) == ["acme:a", "acme:here"]
    complete(tracker, "here")
    tracker.wait_until_sent()
    assert sorted(tracker.started()) == ["acme:a", "acme:b", "acme:c", "acme:here"]


def test_a_completed_prerequisite_does_not_count(tracker: Deployment) -> None:
    submit(tracker, a="", other="")
    tracker.start()
    tracker.wait_until_sent()
    complete(tracker, "a")
    submit(tracker, b="a", c="a other")
    tracker.wait_until_sent()
    assert sorted(tracker.started()) == ["acme:a", "acme:b", "acme:other"]
    assert tracker.look("c").prerequisite_job_ids == ["other"]


def test_a_failed_prerequisite_refuses_the_job(running: Deployment) -> None:
    running.process(running.event(report("acme:job", "Failed")))
    with pytest.raises(JobRefused):
        running.submit("b", "job")
    assert running.client.count() == 1


def test_the_same_prerequisite_twice_counts_once(tracker: Deployment) -> None:
    submit(tracker, a="", b="a a")
    tracker.start(scheduler=False)
    complete(tracker, "a")
    assert tracker.started() == ["acme:b"]


def test_a_deleted_prerequisite_leaves_its_dependents_waiting(tracker: Deployment) -> None:
    submit(tracker, a="", b="a")
    tracker.start(scheduler=False)
    tracker.client.delete("acme:a")
    complete(tracker, "a")
    assert (tracker.started(), tracker.look("b").prerequisite_job_ids) == ([], ["a"])
    submit(tracker, a="")
    complete(tracker, "a")
    assert tracker.started() == ["acme:b"]


def test_prerequisites_are_in_the_same_partition_id(tracker: Deployment) -> None:
    tracker.submit("a", partition_id="other")
    submit(tracker, a="", b="a")
    tracker.start(scheduler=False)
    tracker.process(tracker.event(report("other:a", "Complete")))
    assert tracker.started() == []


def test_a_job_that_repeats_its_completion_releases_nothing_more(tracker: Deployment) -> None:
    submit(tracker, a="", b="a")
    tracker.start(scheduler=False)
    complete(tracker, "a", "a")
    complete(tracker, "a")
    assert tracker.started() == ["acme:b"]


# --- only those that wait


def test_a_paused_dependent_is_sent_once_it_is_resumed(tracker: Deployment) -> None:
    submit(tracker, a="", b="a", c="a")
    tracker.client.pause(["acme:b", "acme:c"])
    tracker.start()
    tracker.client.resume("acme:c")
    complete(tracker, "a")
    tracker.wait_until_sent()
    assert sorted(tracker.started()) == ["acme:a", "acme:c"]
    tracker.client.resume("acme:b")
    tracker.wait_until_sent()
    assert sorted(tracker.started()) == ["acme:a", "acme:b", "acme:c"]
    tracker.client.pause("acme:b")
    tracker.client.resume("acme:b")
    tracker.wait_until_sent()
    assert sorted(tracker.started()) == ["acme:a", "acme:b", "acme:c"]


def test_a_suspended_partition_id_sends_nothing_until_it_is_resumed(tracker: Deployment) -> None:
    tracker.client.suspend_partition(ACME)
    submit(tracker, a="", b="a")
    tracker.submit("elsewhere", partition_id="other")
    tracker.start()
    complete(tracker, "a")
    tracker.wait_until_sent()
    assert tracker.started() == ["other:elsewhere"]
    tracker.client.resume_partition(ACME)
    tracker.wait_until_sent()
    assert tracker.started() == ["other:elsewhere", "acme:b"]  # a has completed meanwhile


def test_a_job_whose_topic_does_not_exist_yet_is_sent_when_it_does(tracker: Deployment) -> None:
    later = tracker.topics.work + "-later"
    task = NewTask(task_classifier="C", task_api_version=1, task_data={}, task_pipe=later)
    submit(tracker, a="")
    tracker.submit("first", task=task)
    tracker.submit("dependent", "a", task=task)
    tracker.start()
    complete(tracker, "a")
    postponed = "SELECT count(*) FROM task_message WHERE eligible_time > now()"
    wait_until(lambda: tracker.rows(postponed) == [(2,)], "both postponed")
    tracker.kafka.create({later: 1})

    def sent() -> bool:
        # Not in 10 s.
        tracker.database.execute("UPDATE task_message SET eligible_time = now() WHERE sent_time IS NULL")
        return len(tracker.kafka.read(later)) == 2

    wait_until(sent, "both jobs sent")
    tracker.wait_until_sent()
    assert len(tracker.kafka.read(later)) == 2
