"""The ways out by hand, with all running: release, prerequisites and report, and what why says of them."""

import json
import os
import pwd
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner, Result

from tests.support.deployment import Deployment
from tests.support.kafka import wait_until
from tests.support.messages import failure, report
from tracker.cli.commands import app
from tracker.errors import TrackerError
from tracker.kafka.key_hash import candidates, murmur2
from tracker.store import grants
from tracker.store.grants import READ

ME = pwd.getpwuid(os.getuid()).pw_name
# The two hashes of keys give it different Kafka partitions, of two.
JOB = next(name for name in "abcdefgh" if len(candidates(f"acme:{name}".encode(), 2)) == 2)
BROKEN = report("acme:a.1", "Failed", failure=failure("it broke"))


@pytest.fixture
def scheduling(tracker: Deployment) -> Deployment:
    """A deployment that runs with a scheduler."""
    tracker.start()
    return tracker


def type_command(tracker: Deployment, *arguments: str) -> Result:
    result = CliRunner().invoke(app, ["job", *arguments], env=tracker.variables)
    assert isinstance(result.exception, TrackerError | None), result
    return result


def reported(tracker: Deployment, *arguments: str) -> str:
    """Report by hand, and have the tracker process it."""
    result = type_command(tracker, "report", *arguments)
    assert result.exit_code == 0, result.output
    tracker.wait_until_processed()
    return result.stderr


def why(tracker: Deployment, job_id: str) -> list[dict[str, Any]]:
    printed = type_command(tracker, "why", f"acme:{job_id}", "--json").stdout
    # The members' threads log there too.
    [answer] = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    return list(answer["reasons"])


def by_hand(tracker: Deployment, job_id: str) -> str:
    """Return what why says that was done by hand."""
    [reason] = [each for each in why(tracker, job_id) if each["code"] == "by-hand"]
    assert (reason["subject"], reason["since"] > 0, reason["command"]) == (ME, True, None)
    return str(reason["text"]).partition(f"{ME} ")[2]


# --- release and prerequisites


def test_a_released_job_is_sent_once_and_its_prerequisite_sends_it_no_more(scheduling: Deployment) -> None:
    scheduling.submit("a")
    scheduling.submit("d", "a", "never")
    scheduling.wait_until_sent()
    scheduling.client.release("acme:d")
    scheduling.wait_until_sent()
    assert scheduling.started() == ["acme:a", "acme:d"]
    scheduling.process(scheduling.event(report("acme:a", "Complete")))
    scheduling.wait_until_sent()
    assert scheduling.started() == ["acme:a", "acme:d"]
    assert by_hand(scheduling, "d") == "released it, although it waited for a, never."
    scheduling.process(scheduling.event(report("acme:d", "Complete")))
    assert [each["code"] for each in why(scheduling, "d")] == ["ended", "by-hand"]


@pytest.mark.parametrize("why_not", ["paused", "suspended"])
def test_a_released_job_that_may_not_be_sent_stays_so_until_it_may(
    scheduling: Deployment, why_not: str
) -> None:
    scheduling.submit("d", "never")
    if why_not == "paused":
        scheduling.client.pause("acme:d")
    else:
        scheduling.client.suspend_partition("acme")
    scheduling.client.release("acme:d")
    scheduling.submit("other", partition_id="other")
    scheduling.wait_until_sent()
    assert scheduling.started() == ["other:other"]
    if why_not == "paused":
        scheduling.client.resume("acme:d")
    else:
        scheduling.client.resume_partition("acme")
    wait_until(lambda: scheduling.started() == ["other:other", "acme:d"], "sent")


def test_a_job_waits_for_what_was_added_and_is_sent_when_that_has_completed(scheduling: Deployment) -> None:
    scheduling.submit("a")
    scheduling.submit("d", "never")
    scheduling.client.change_prerequisites("acme:d", add="a", remove="never")
    scheduling.wait_until_sent()
    assert scheduling.started() == ["acme:a"]
    assert by_hand(scheduling, "d") == "changed what it waits for (--add a --remove never)."
    scheduling.process(scheduling.event(report("acme:a", "Complete")))
    scheduling.wait_until_sent()
    assert scheduling.started() == ["acme:a", "acme:d"]


@pytest.mark.parametrize("root", ["unknown", "cancelled"])
def test_why_names_the_way_out_of_a_wait_for_what_never_completes(scheduling: Deployment, root: str) -> None:
    if root == "cancelled":
        scheduling.submit("root", delay=3600)
    scheduling.submit("d", "root")
    scheduling.submit("e", "d")
    if root == "cancelled":
        scheduling.client.cancel("acme:root")
    [_, of_d], [_, of_e] = why(scheduling, "d"), why(scheduling, "e")
    assert (of_d["code"], of_e["code"], of_e["command"]) == (*[f"prerequisite-{root}"] * 2, None)
    assert of_d["command"] == "tracker job prerequisites acme:d --remove root"
    assert type_command(scheduling, *of_d["command"].split()[2:]).exit_code == 0
    scheduling.wait_until_sent()
    assert scheduling.started() == ["acme:d"]


# --- report


def test_a_report_counts_as_that_of_a_worker(running: Deployment) -> None:
    tracker = running
    tracker.submit("a")
    tracker.wait_until_sent()
    assert reported(tracker, "acme:a.1", "--status", "Progress", "--percentage", "50") == ""
    assert by_hand(tracker, "a") == "reported on it in place of a worker: acme:a.1 Progress, 50 %."
    assert (tracker.status("a"), tracker.percentage("a")) == ("Active", 25.0)
    reported(tracker, "acme:a.1", "--status", "Failed", "--failure-id", "E7", "--message", "page is torn")
    [found] = tracker.failures("a")
    assert (found["failureId"], found["failureMessage"]) == ("E7", "page is torn")
    assert found["failureSource"] == f"tracker job report, by {ME}"
    assert by_hand(tracker, "a").endswith(": acme:a.1 Failed, E7 (page is torn).")
    reported(tracker, "acme:a.1*", "--status", "Complete")
    assert tracker.status("a") == "Completed"
    assert by_hand(tracker, "a").endswith(": acme:a.1* Complete.")
    assert tracker.dead_letters() == []


def test_a_report_has_the_key_of_its_job_and_goes_to_the_first_topic(running: Deployment) -> None:
    """So it keeps its place among messages of Java's producers, as those that the tracker itself sends."""
    running.submit(JOB)
    topic = running.topics.tracking
    running.variables["TRACKER_TOPICS"] = f"{topic},another"
    result = type_command(running, "report", f"acme:{JOB}.1.2", "--status", "complete", "--json")
    answer = {"jobTaskId": f"acme:{JOB}.1.2", "status": "Complete", "topic": topic}
    assert json.loads(result.stdout) == answer
    [record] = running.kafka.read(topic)
    key = f"acme:{JOB}".encode()
    assert (record.key, record.kafka_partition) == (key, (murmur2(key) & 0x7FFF_FFFF) % 2)


def test_a_failed_job_is_repaired_by_a_report(running: Deployment) -> None:
    running.submit("a")
    running.process(running.event(BROKEN))
    assert running.status("a") == "Failed"
    reported(running, "acme:a", "--status", "Complete")
    assert running.status("a") == "Completed"


def test_where_the_database_cannot_be_asked_the_report_is_sent_all_the_same(running: Deployment) -> None:
    running.submit("a")
    url = running.variables.pop("TRACKER_DATABASE_URL")
    try:
        assert reported(running, "acme:a", "--status", "Progress", "--percentage", "10").startswith(
            "Warning: no database is named; it was not checked whether the job exists"
        )
        running.variables["TRACKER_DATABASE_URL"] = make_conninfo(url, host="127.0.0.1", port=1)
        assert "it was not checked" in reported(running, "acme:a", "--status", "Complete")
    finally:
        running.variables["TRACKER_DATABASE_URL"] = url
    assert running.status("a") == "Completed"
    assert running.rows("SELECT FROM action") == []


def test_a_reader_of_the_database_reports_with_a_warning(
    running: Deployment, role: str, database_url: str
) -> None:
    running.submit("a")
    grants.grant(database_url, [(role, READ)])
    running.variables["TRACKER_DATABASE_URL"] = make_conninfo(database_url, user=role, password="secret")
    try:
        warning = reported(running, "acme:a", "--status", "Complete")
        refused = type_command(running, "report", "acme:none", "--status", "Complete")
    finally:
        running.variables["TRACKER_DATABASE_URL"] = database_url
    assert warning.startswith(
        "Warning: the report is sent, and not noted: PostgreSQL does not allow it: permission denied"
    )
    assert (refused.exit_code, str(refused.exception)) == (1, "no such job: acme:none")
    assert running.status("a") == "Completed"


def test_a_topic_that_does_not_exist_is_a_sentence(tracker: Deployment) -> None:
    tracker.submit("a")
    tracker.variables["TRACKER_TOPICS"] = "nobody-has-made-it"
    result = type_command(tracker, "report", "acme:a", "--status", "Complete")
    assert (result.exit_code, str(result.exception)) == (
        1,
        "the topic nobody-has-made-it does not exist, or you may not write to it",
    )
    assert tracker.rows("SELECT FROM action") == []
