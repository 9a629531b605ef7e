"""`tracker status`: what it says of running and of ailing deployments, and its exit status."""

import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any, NamedTuple

from confluent_kafka import Producer
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.disagreement import numbered
from tests.support.kafka import DEADLINE_S, wait_until
from tests.support.program import ROOT, Program
from tracker.cli.commands import app
from tracker.stack.server import clean_environment
from tracker.store import grants
from tracker.store.connect import connect

HOUR_MS = 3_600_000


class Answer(NamedTuple):
    """What `tracker status --json` has printed."""

    exit_status: int
    found: Any

    @property
    def codes(self) -> list[str]:
        return [each["code"] for each in self.found["problems"]]

    def problem(self, code: str) -> dict[str, Any]:
        """Return the first problem of that kind."""
        return next(each for each in self.found["problems"] if each["code"] == code)


def ask(tracker: Deployment, **variables: str) -> Answer:
    result = CliRunner().invoke(app, ["status", "--json"], env=tracker.variables | variables)
    assert result.stdout, result.output
    answer = Answer(result.exit_code, json.loads(result.stdout))
    assert answer.found["ok"] is (answer.exit_status == 0)
    return answer


def wait_for_code(tracker: Deployment, code: str) -> dict[str, Any]:
    """Ask until there is such a problem, and return it."""
    answers: list[Answer] = []

    def found() -> bool:
        answers[:] = [ask(tracker)]
        return code in answers[0].codes

    wait_until(found, code)
    assert answers[0].exit_status == 1
    return answers[0].problem(code)


def members_of(answer: Answer) -> list[str]:
    return sorted(each["member"] or "" for each in answer.found["kafkaPartitions"])


def send_old(tracker: Deployment, *tasks: int) -> int:
    """Send messages that are an hour old, and return their time in ms."""
    written_ms = time.time_ns() // 1_000_000 - HOUR_MS
    producer = Producer({"bootstrap.servers": tracker.kafka.bootstrap_servers})
    for record in numbered(tracker, tasks):
        producer.produce(tracker.topics.tracking, record.value, record.key, timestamp=written_ms)
    assert producer.flush(DEADLINE_S) == 0
    return written_ms


def test_a_running_deployment_needs_nobody(tracker: Deployment) -> None:
    tracker.submit("job")
    with Program(tracker.variables) as program:
        program.wait_for("ready")
        tracker.programs = 1
        tracker.process(tracker.message("acme:job"), tracker.message("acme:job.0"))
        tracker.wait_until_sent()
        wait_until(lambda: ask(tracker).exit_status == 0, "all to be well")
        shared = [f"{tracker.group_id}-test-{slot}" for slot in (0, 1)]
        wait_until(lambda: members_of(ask(tracker)) == shared, "a Kafka partition each")
        found = ask(tracker).found
        assert program.stop() == 0
    assert found["problems"] == []
    assert (found["members"], found["workersReady"], found["schedulerActive"]) == (2, 2, True)
    assert [(each["lagRecords"], each["lagSeconds"]) for each in found["kafkaPartitions"]] == [(0, 0)] * 2
    assert found["jobs"]["Completed"] == 1
    assert found["deadLetters"] == {"open": 1, "lastHour": 1}
    assert found["oldestDueSeconds"] is None
    assert found["database"]["sizeBytes"] > 1_000_000
    assert found["database"]["oldestTransactionSeconds"] is not None


def test_a_role_that_reads_learns_all_but_what_is_due(tracker: Deployment, role: str) -> None:
    grants.grant(tracker.database_url, [(role, grants.READ)])
    url = make_conninfo(tracker.database_url, user=role, password="secret")
    with Program(tracker.variables) as program:
        wait_until(lambda: ask(tracker, TRACKER_DATABASE_URL=url).exit_status == 0, "all to be well")
        answer = ask(tracker, TRACKER_DATABASE_URL=url)
        assert program.stop() == 0
    assert answer.codes == ["not-asked"]
    assert "Which jobs are due could not be asked" in answer.found["problems"][0]["text"]
    assert (answer.found["members"], answer.found["schedulerActive"]) == (2, True)
    assert answer.found["database"]["oldestTransactionSeconds"] is None


def test_a_stopped_tracker_with_lag_needs_somebody(tracker: Deployment) -> None:
    tracker.submit("job")
    with Program(tracker.variables) as program:
        wait_until(lambda: ask(tracker).found["members"] == 2, "members")
        assert program.stop() == 0
    send_old(tracker, 1, 2, 3)
    answer = ask(tracker)
    assert answer.exit_status == 1
    assert answer.found["members"] == 0
    assert answer.problem("no-members") == {
        "code": "no-members",
        "text": "No worker runs, and 3 records wait.",
        "command": "tracker run",
    }
    lags = [each for each in answer.found["kafkaPartitions"] if each["lagRecords"]]
    assert sum(each["lagRecords"] for each in lags) == 3
    assert all(3_600 <= each["lagSeconds"] < 7_200 for each in lags)
    shown = CliRunner().invoke(app, ["status"], env=tracker.variables)
    assert shown.exit_code == 1
    assert "No worker runs, and 3 records wait.\n    tracker run\n" in shown.stdout


def test_a_worker_that_keeps_dying_needs_somebody(tracker: Deployment) -> None:
    """It is started again, after pauses that grow; until then its supervisor says that it is missing."""
    with Program(tracker.variables) as program:
        wait_until(lambda: ask(tracker).exit_status == 0, "all to be well")

        def has_died() -> bool:
            if "worker-1" in program.children():
                program.kill("worker-1")
            return "worker-not-ready" in ask(tracker).codes

        wait_until(has_died, "it to be said")
        answer = ask(tracker)
    if "worker-not-ready" in answer.codes:  # it may have been started again meanwhile
        assert answer.exit_status == 1
        assert answer.problem("worker-not-ready")["text"].startswith("Worker 1 on ")
        assert (answer.found["members"], answer.found["workersReady"]) == (2, 1)


def test_without_a_scheduler_it_needs_somebody(tracker: Deployment) -> None:
    tracker.submit("job")
    problem = ask(tracker).problem("no-scheduler")
    assert problem["text"] == "No scheduler is active, and no job starts."
    assert problem["command"] == "tracker run"
    tracker.database.execute("UPDATE task_message SET eligible_time = now() - interval '2 minutes'")
    late = ask(tracker)
    assert "acme:job has been due for 12" in late.problem("not-sent")["text"]
    assert late.found["oldestDueSeconds"] >= 120
    tracker.start_scheduler()
    tracker.wait_until_sent()
    answer = ask(tracker)
    assert answer.found["schedulerActive"] is True
    assert answer.codes == ["no-members"]


def test_a_job_that_cannot_be_sent_is_named(tracker: Deployment) -> None:
    """Although it is due again every few seconds, it counts from the first time on."""
    tracker.submit("job")
    tracker.database.execute("UPDATE task_message SET task_pipe = 'nowhere'")
    tracker.start_scheduler()
    postponed = "SELECT count(*) FROM task_message WHERE postponed_time IS NOT NULL"
    wait_until(lambda: tracker.rows(postponed) == [(1,)], "it to be tried")
    tracker.database.execute("UPDATE task_message SET postponed_time = now() - interval '2 minutes'")
    text = wait_for_code(tracker, "not-sent")["text"]
    assert text.startswith("The job acme:job has been due for 1")
    assert text.endswith("not sent to the topic nowhere.")


def test_a_lag_that_does_not_shrink_is_named(deploy: Deploy) -> None:
    tracker = deploy(partitions=1, TRACKER_WORKERS="1")
    tracker.submit("job")
    with Program(tracker.variables) as program:
        wait_until(lambda: ask(tracker).exit_status == 0, "all to be well")
        with connect(tracker.database_url) as other:
            other.execute("LOCK TABLE kafka_progress")
            send_old(tracker, 1, 2)
            text = wait_for_code(tracker, "lag")["text"]
        tracker.programs = 1
        tracker.wait_until_processed()
        assert program.stop() == 0
    assert f"Worker {tracker.group_id}-test-0 does not keep up with Kafka partition 0" in text
    assert "2 records wait, the oldest for 3,6" in text


def test_topics_that_no_worker_reads_are_named(tracker: Deployment) -> None:
    topics = tracker.topics
    asked = f"{topics.tracking},{topics.work},no-{topics.work}"
    with Program(tracker.variables) as program:
        wait_until(lambda: ask(tracker).exit_status == 0, "all to be well")
        answer = ask(tracker, TRACKER_TOPICS=asked)
        assert program.stop() == 0
    assert (answer.exit_status, answer.codes) == (1, ["topic-missing", "no-member"])
    assert f"The tracking topic no-{topics.work} does not exist" in answer.problem("topic-missing")["text"]
    expected = f"No worker reads Kafka partition 0 of topic '{topics.work}', and 0 records wait."
    assert answer.problem("no-member")["text"] == expected


def test_the_database_is_answered_while_kafka_is_away(tracker: Deployment) -> None:
    tracker.submit("job")
    answer = ask(tracker, TRACKER_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert answer.exit_status == 1
    assert answer.problem("not-asked")["text"].startswith("Kafka could not be asked: ")
    assert (answer.found["kafkaPartitions"], answer.found["deadLetters"]) == ([], None)
    assert answer.found["jobs"]["Waiting"] == 1
    assert {"no-members", "no-scheduler"} <= {*answer.codes}


def test_kafka_is_answered_if_the_schema_is_older(tracker: Deployment) -> None:
    tracker.database.execute(
        "DELETE FROM schema_migration WHERE version = (SELECT max(version) FROM schema_migration)"
    )
    answer = ask(tracker)
    assert answer.codes == ["schema"]
    assert answer.problem("schema")["command"] == "tracker migrate"
    assert (answer.found["members"], answer.found["jobs"]) == (None, None)
    assert len(answer.found["kafkaPartitions"]) == 2


def test_it_looks_again_until_it_is_stopped(tracker: Deployment) -> None:
    arguments = [sys.executable, "-m", "tracker", "status", "--watch", "--json"]
    environment = clean_environment(PYTHONPATH=str(ROOT), **tracker.variables)
    with subprocess.Popen(
        arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        first, second = (json.loads(watching.stdout.readline()) for _ in range(2))
        watching.send_signal(signal.SIGINT)
        assert watching.wait(DEADLINE_S) == 130
    assert first["asOf"] < second["asOf"]
    assert first["members"] == second["members"] == 0


def test_the_time_of_the_last_applied_record_is_stored(tracker: Deployment) -> None:
    tracker.submit("job")
    tracker.start(scheduler=False)
    written_ms = send_old(tracker, *range(1, 21))
    tracker.wait_until_processed()
    written = datetime.fromtimestamp(written_ms / 1000, UTC)
    assert tracker.rows("SELECT record_time FROM kafka_progress WHERE next_offset > 0") == [(written,)]
