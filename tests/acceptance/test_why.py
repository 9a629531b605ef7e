"""What `tracker job why` says where exactly one thing is broken; the command that it names then mends it."""

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from typer.testing import CliRunner

from tests.support.deployment import ACME, Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.group_member import group_member
from tests.support.kafka import wait_until
from tests.support.messages import failure, report
from tracker import NewTask
from tracker.cli.commands import app
from tracker.jobs.action import os_user

Reasons = list[dict[str, Any]]


def type_command(tracker: Deployment, command: str) -> str:
    """Run a command as a user types it, and return what it prints."""
    result = CliRunner().invoke(app, shlex.split(command)[1:], env=tracker.variables)
    assert (result.exit_code, result.exception) == (0, None), result.output
    return result.stdout


def why(tracker: Deployment, job_id: str) -> Reasons:
    answer = json.loads(type_command(tracker, f"tracker job why acme:{job_id} --json"))
    assert (answer["partitionId"], answer["id"], answer["partial"]) == (ACME, job_id, False)
    assert answer["status"] == tracker.status(job_id)
    return list(answer["reasons"])


def own(tracker: Deployment, job_id: str) -> Reasons:
    """Return the reasons without the one that nobody reads the workers' topic, which is so in these tests."""
    return [reason for reason in why(tracker, job_id) if reason["code"] != "no-consumer"]


def codes(tracker: Deployment, job_id: str) -> list[str]:
    return [reason["code"] for reason in own(tracker, job_id)]


def mend(tracker: Deployment, job_id: str, code: str) -> dict[str, Any]:
    """Type the command of the first reason, which must have this code."""
    first, *_ = why(tracker, job_id)
    assert first["code"] == code
    type_command(tracker, first["command"])
    return first


def fail(tracker: Deployment, task: str) -> None:
    tracker.process(tracker.event(report(task, "Failed", failure=failure("it broke"))))


def complete(tracker: Deployment, task: str) -> None:
    tracker.process(tracker.event(report(task, "Complete")))


def sent(tracker: Deployment, *job_ids: str) -> None:
    for job_id in job_ids:
        tracker.submit(job_id)
    tracker.start()
    tracker.wait_until_sent()


# --- the job has ended


def test_it_has_completed(tracker: Deployment) -> None:
    sent(tracker, "a")
    complete(tracker, "acme:a")
    [reason] = why(tracker, "a")
    assert (reason["code"], reason["subject"].rpartition(":")[0][:-2]) == ("ended", tracker.topics.tracking)
    assert reason["text"].startswith("It completed at ")
    assert reason["since"] == tracker.look("a").last_update_time_ms


def test_it_was_cancelled(tracker: Deployment) -> None:
    sent(tracker, "a")
    tracker.client.cancel("acme:a")
    [reason] = why(tracker, "a")
    assert (reason["code"], reason["command"]) == ("ended", None)
    assert re.fullmatch(rf"It was cancelled at .* UTC by {os_user()}\.", reason["text"])


def test_it_failed_because_of_another_job(deploy: Deploy) -> None:
    tracker = deploy(TRACKER_PROPAGATE_FAILURES="true")
    tracker.submit("b", "a")
    sent(tracker, "a")
    fail(tracker, "acme:a")
    assert mend(tracker, "b", "ended")["subject"] == "acme:a"
    tracker.wait_until_sent()
    assert tracker.started() == ["acme:a", "acme:a"]
    complete(tracker, "acme:a")
    tracker.wait_until_sent()
    assert tracker.started()[-1] == "acme:b"


def test_tasks_have_failed(tracker: Deployment) -> None:
    sent(tracker, "a")
    for task in ("acme:a.2", "acme:a.1"):
        fail(tracker, task)
    assert codes(tracker, "a") == ["failed-tasks"]
    found = mend(tracker, "a", "failed-tasks")
    assert (found["count"], found["subject"]) == (2, "acme:a.1")
    assert found["text"] == "2 tasks have failed: 2 times E1 (it broke)."
    tracker.wait_until_sent()
    assert tracker.started() == ["acme:a", "acme:a"]


# --- it is not sent


def test_its_partition_id_is_suspended(tracker: Deployment) -> None:
    tracker.client.suspend_partition(ACME)
    sent(tracker, "a")
    assert codes(tracker, "a") == ["partition-suspended"]
    assert mend(tracker, "a", "partition-suspended")["subject"] == ACME
    wait_until(lambda: tracker.started() == ["acme:a"], "sent")


@pytest.mark.parametrize("held", [0, 1, 2])
def test_it_is_paused(tracker: Deployment, held: int) -> None:
    sent(tracker, "a")
    tracker.client.pause("acme:a")
    tracker.process(*(tracker.more_work(f"acme:a.{number + 1}") for number in range(held)))
    reason = mend(tracker, "a", "paused")
    assert (reason["count"], reason["since"] is not None) == (held, True)
    assert f" by {os_user()}. " in reason["text"]
    tracker.wait_until_sent()
    assert (tracker.status("a"), len(tracker.work())) == ("Active", 1 + held)


def test_it_is_delayed(tracker: Deployment) -> None:
    tracker.submit("a", delay=3600)
    sent(tracker)
    [reason] = why(tracker, "a")
    assert (reason["code"], reason["command"]) == ("delayed", None)
    due = tracker.rows("SELECT floor(extract(epoch FROM eligible_time) * 1000)::bigint FROM task_message")
    assert due == [(reason["until"],)]


def test_no_scheduler_is_active(tracker: Deployment) -> None:
    tracker.submit("a")
    tracker.start(scheduler=False)
    [reason] = why(tracker, "a")
    assert (reason["code"], reason["command"]) == ("not-sent", "tracker run")
    assert "no scheduler is active" in reason["text"]
    tracker.start_scheduler()  # `tracker run` does
    tracker.wait_until_sent()
    assert "not-sent" not in codes(tracker, "a")


def test_its_topic_does_not_exist(tracker: Deployment) -> None:
    topic = f"{tracker.topics.work}-later"
    task = NewTask(task_classifier="x", task_api_version=1, task_data="", task_pipe=topic)
    tracker.submit("a", task=task)
    sent(tracker)
    wait_until(lambda: tracker.rows("SELECT FROM task_message WHERE not_sent_reason IS NOT NULL"), "tried")
    wait_until(
        lambda: (why(tracker, "a")[0]["subject"], topic in why(tracker, "a")[0]["text"]) == (topic, True),
        "said",
    )
    tracker.kafka.create({topic: 1})
    wait_until(lambda: "not-sent" not in codes(tracker, "a"), "sent")


# --- it waits for others

ROOTS: dict[str, tuple[Callable[[Deployment], object], str]] = {
    "failed": (lambda tracker: fail(tracker, "acme:root"), "tracker job retry acme:root"),
    "cancelled": (lambda tracker: tracker.client.cancel("acme:root"), ""),
    "paused": (lambda tracker: tracker.client.pause("acme:root"), "tracker job resume acme:root"),
    "running": (
        lambda tracker: tracker.process(tracker.progress("acme:root.1", 30)),
        "tracker job why acme:root",
    ),
    "waiting": (lambda tracker: None, "tracker job why acme:root"),
    "unknown": (lambda tracker: tracker.client.delete("acme:root"), ""),
}


@pytest.mark.parametrize("root", ROOTS)
def test_a_job_for_which_it_waits_in_the_end(tracker: Deployment, root: str) -> None:
    tracker.submit("middle", "root")
    tracker.submit("end", "middle")
    sent(tracker, "root")
    break_it, command = ROOTS[root]
    break_it(tracker)
    first, second, *own = why(tracker, "end")
    assert (first["code"], first["count"], first["subject"]) == ("unmet-prerequisites", 1, "acme:end")
    assert first["text"] == "It waits for 1 job: acme:middle."
    assert (second["code"], second["subject"]) == (f"prerequisite-{root}", "acme:root")
    assert second["command"] == (command or None)
    if command:
        type_command(tracker, command)
    if root in ("running", "waiting"):
        [reason] = own
        assert reason["code"] == "missing-tasks"
        assert reason["text"].startswith("acme:root: ")
    else:
        assert own == []


def test_roots_are_counted_and_the_most_telling_come_first(tracker: Deployment) -> None:
    names = [f"r{number:02}" for number in range(30)]
    tracker.client.submit([tracker.job(name) for name in names])
    tracker.submit("end", *names)
    sent(tracker)
    fail(tracker, "acme:r29")
    tracker.client.pause("acme:r28")
    first, *roots = why(tracker, "end")
    assert first["count"] == 30
    assert first["text"].endswith("acme:r19, and 10 more.")
    named = [reason for reason in roots if reason["code"].startswith("prerequisite-")]
    assert [reason["subject"] for reason in named[:3]] == ["acme:r29", "acme:r28", "acme:r00"]
    assert (len(named), {reason["count"] for reason in named}) == (20, {30})


def test_a_cycle_is_found(tracker: Deployment) -> None:
    tracker.client.submit([tracker.job("a"), tracker.job("b", "a")])
    with tracker.database.transaction():
        tracker.database.execute(
            "INSERT INTO prerequisite (tenant_key, prerequisite_job_id, job_key)"
            " SELECT tenant_key, 'b', job_key FROM job WHERE job_id = 'a'"
        )
        tracker.database.execute("UPDATE task_message SET unmet = 1, eligible_time = NULL")
    tracker.start()
    assert codes(tracker, "b") == ["unmet-prerequisites", "cycle"]
    tracker.client.delete("acme:a")


# --- it runs


def test_tasks_are_missing(tracker: Deployment) -> None:
    sent(tracker, "a")
    [reason] = own(tracker, "a")
    assert (reason["code"], reason["count"], reason["since"] is not None) == ("missing-tasks", 1, True)
    assert "nothing has been reported since" in reason["text"]
    tracker.process(tracker.message("acme:a.1"), tracker.progress("acme:a.3", 5))
    [reason] = why(tracker, "a")
    assert (reason["count"], reason["command"]) == (2, "tracker job missing acme:a")
    assert "acme:a.2 (missing), acme:a.3 (active)" in reason["text"]
    assert reason["text"].endswith(" The number of its tasks is not known yet.")
    assert type_command(tracker, reason["command"])
    tracker.process(tracker.message("acme:a.3*"))
    [reason] = why(tracker, "a")
    assert reason["text"].startswith(
        "1 task has not completed: acme:a.2 (missing). Nothing has been reported for "
    )


def test_a_message_of_it_is_a_dead_letter(tracker: Deployment) -> None:
    sent(tracker, "a")
    tracker.process(tracker.message("acme:a.1*", to="its-topic", track_to="its-topic"))
    found, *_ = own(tracker, "a")
    assert (found["code"], found["count"]) == ("dead-letters", 1)
    assert "destination-unknown" in found["text"]
    tracker.kafka.create({"its-topic": 1})

    def replayed() -> bool:
        """Type it again if the tracker had not heard of the topic yet."""
        type_command(tracker, found["command"])
        tracker.wait_until_processed()
        return tracker.status("a") == "Completed"

    wait_until(replayed, "completed")


def test_messages_of_it_were_dropped(tracker: Deployment) -> None:
    sent(tracker, "a")
    fail(tracker, "acme:a.1")
    tracker.process(tracker.message("acme:a.2"))
    assert codes(tracker, "a") == ["failed-tasks", "dropped"]
    reason = why(tracker, "a")[1]
    assert (reason["count"], reason["command"]) == (1, None)
    assert reason["text"].endswith(": it had failed.")


def test_reports_contradict_each_other(tracker: Deployment) -> None:
    sent(tracker, "a")
    tracker.process(tracker.progress("acme:a.2*", 5), tracker.progress("acme:a.4*", 5))
    assert codes(tracker, "a") == ["contradiction", "missing-tasks"]


def test_the_text_names_the_status_and_each_command(tracker: Deployment) -> None:
    sent(tracker, "a")
    tracker.client.pause("acme:a")
    lines = type_command(tracker, "tracker job why acme:a").splitlines()
    assert lines[0] == "acme:a is Paused, 0.0 %."
    assert lines[1].startswith("- It has been paused for ")
    assert lines[2] == "    tracker job resume acme:a"


def test_an_unknown_job_is_not_found(tracker: Deployment) -> None:
    result = CliRunner().invoke(app, ["job", "why", "acme:none"], env=tracker.variables)
    assert result.exit_code == 1


# --- what only Kafka knows


def test_nobody_reads_its_topic(tracker: Deployment) -> None:
    topic = f"{tracker.topics.work}-unread"
    tracker.kafka.create({topic: 1})
    task = NewTask(task_classifier="x", task_api_version=1, task_data="", task_pipe=topic)
    tracker.submit("a", task=task)
    sent(tracker)
    first, second = why(tracker, "a")
    assert (first["code"], first["subject"]) == ("no-consumer", topic)
    assert first["text"].startswith(f"No consumer group has read {topic}.")
    assert second["code"] == "missing-tasks"
    # A worker that lags, one that does not, and one that has gone.
    group = f"group-of-{topic}"
    with group_member(tracker, group, topic) as consumer:
        consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
        wait_until(lambda: why(tracker, "a")[0]["code"] == "consumer-lag", "lag")
        assert why(tracker, "a")[0]["count"] >= 1
        # After the record itself; the marker of its transaction has an offset too.
        consumer.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)
        wait_until(lambda: why(tracker, "a")[0]["code"] == "missing-tasks", "no lag")
    # Of more than 20 groups, those with members are asked first, and so this one perhaps not.
    wait_until(lambda: why(tracker, "a")[0]["code"] == "no-consumer", "gone")


def test_no_tracker_runs(tracker: Deployment) -> None:
    sent(tracker, "a")
    tracker.process(tracker.message("acme:a.1"))
    tracker.stop()
    tracker.send(tracker.message("acme:a.2"))
    wait_until(lambda: codes(tracker, "a")[0] == "tracker-down", "seen")
    first, *_ = why(tracker, "a")
    assert (first["subject"], first["command"], first["count"]) == (tracker.group_id, "tracker run", 1)
    tracker.start()
    tracker.wait_until_processed()
    wait_until(lambda: codes(tracker, "a") == ["missing-tasks"], "it runs")


def test_kafka_cannot_be_asked(tracker: Deployment) -> None:
    tracker.submit("a", delay=60)
    tracker.variables["TRACKER_KAFKA_BOOTSTRAP_SERVERS"] = "localhost:1"
    answer = json.loads(type_command(tracker, "tracker job why acme:a --json"))
    assert [reason["code"] for reason in answer["reasons"]] == ["delayed", "not-asked"]
    assert answer["partial"] is True
