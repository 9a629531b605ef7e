"""The tracker works with the rights that docs/security.md lists, and says so where one of them is missing."""

import json
import re
from collections.abc import Sequence
from typing import cast

import msgspec
import pytest
from confluent_kafka.admin import AclBinding, AclOperation, ResourceType

from tests.security import acls
from tests.security.conftest import PASSWORD, Secure, Secured, command
from tests.security.servers import binding
from tests.support.endpoint import Endpoint
from tests.support.kafka import wait_until
from tests.support.program import Program
from tests.support.records import Record
from tracker import NewTask

RUN = [row for row in acls.rows() if row.command == "run"]
# What the log has while a right is missing from the start, and when it is taken away later.
SIGNS = {
    "Topic *tracking topic*": "to read tracking-|Topic authorization failed",
    "Topic *dead-letter topic*": "to write dead-letters-|Topic authorization failed",
    "Group *group*": "Group authorization failed",
    "Group *group*-scheduler": '"scheduler".*waiting for Kafka.*Group authorization failed',
    "TransactionalId *group*-": "Transactional Id authorization failed",
}


def allow(secure: Secure, tracker: Secured, but: acls.Row | None = None) -> list[AclBinding]:
    """Give the tracker all rights that it needs to run, but for a row's; return those."""
    left_out = []
    for row, bindings in tracker.acls("run"):
        if row == but:
            left_out += bindings
        else:
            secure.kafka.allow(*bindings)
    return left_out


def lay_ready(tracker: Secured, name: str) -> None:
    """Lay out what takes every right: a start, a forward, a completion that releases a job, a dead letter."""
    tracker.submit(f"{name}-first")
    tracker.submit(f"{name}-second", f"{name}-first")
    tracker.submit(f"{name}-third")
    tracker.send(
        tracker.more_work(f"acme:{name}-first.1"),
        tracker.message(f"acme:{name}-first.1*"),
        tracker.message(f"acme:{name}-first.0"),
    )


def require_done(tracker: Secured, name: str) -> None:
    """Wait for all that `lay_ready` asks for, and see that it was done, and once."""
    tracker.programs = 1
    tracker.wait_until_processed()
    tracker.wait_until_sent()
    assert tracker.status(f"{name}-first") == "Completed"
    sent = sorted(each.task for each in tracker.work() if each.task.startswith(f"acme:{name}-"))
    started = [task for task in sent if task == f"acme:{name}-first"]  # unless it had completed by then
    assert sent == [*started, *(f"acme:{name}-{rest}" for rest in ("first.1", "second", "third"))]
    assert len(started) <= 1
    assert len(tracker.results()) == len(tracker.dead_letters())
    assert {each.header("tracker-error-reason") for each in tracker.dead_letters()} == {"bad-job-task-id"}


def require_clean(program: Program) -> None:
    """Fail where the log has what nobody could understand, or a secret."""
    for text in ("unexpected error", "Traceback", PASSWORD, "hush"):
        assert text not in program.text()


def test_it_works_with_just_the_rights_that_are_listed(secure: Secure, tracker: Secured) -> None:
    allow(secure, tracker)
    lay_ready(tracker, "job")
    with Program(tracker.variables) as program:
        program.wait_for("ready")
        require_done(tracker, "job")
        assert program.stop() == 0
        require_clean(program)


POSTPONED = "SELECT count(*) FROM task_message WHERE eligible_time > now()"
AT_ONCE = [row for row in RUN if row.name != "*destination*"]
IDS = [f"{row.resource} {row.name.replace('*', '')}" for row in AT_ONCE]


def in_the_soak(row: acls.Row) -> Sequence[pytest.MarkDecorator]:
    """Return the mark of a row whose test takes long: an offset that is asked for fails after 10 s."""
    return [pytest.mark.soak] if "scheduler" in row.name else []


@pytest.mark.parametrize("row", [pytest.param(row, marks=in_the_soak(row)) for row in AT_ONCE], ids=IDS)
def test_it_says_which_right_is_missing_and_continues_once_it_is_granted(
    secure: Secure, tracker: Secured, row: acls.Row
) -> None:
    left_out = allow(secure, tracker, but=row)
    lay_ready(tracker, "job")
    with Program(tracker.variables) as program:
        program.wait_for_text(SIGNS[f"{row.resource} {row.name}"])
        secure.kafka.allow(*left_out)
        require_done(tracker, "job")
        assert program.stop() == 0
        require_clean(program)


@pytest.mark.soak
@pytest.mark.parametrize("row", AT_ONCE, ids=IDS)
def test_it_continues_after_a_right_was_revoked_for_a_while(
    secure: Secure, tracker: Secured, row: acls.Row
) -> None:
    allow(secure, tracker)
    with Program(tracker.variables) as program:
        program.wait_for("ready")
        lay_ready(tracker, "before")
        require_done(tracker, "before")
        [taken] = [bindings for each, bindings in tracker.acls("run") if each == row]
        secure.kafka.forbid(*taken)
        lay_ready(tracker, "after")
        program.wait_for_text(SIGNS[f"{row.resource} {row.name}"])
        secure.kafka.allow(*taken)
        require_done(tracker, "after")
        assert program.stop() == 0
        require_clean(program)


@pytest.mark.parametrize(
    "row", [row for row in AT_ONCE if row.name in {"*group*", "*tracking topic*"}], ids=lambda row: row.name
)
def test_an_idle_tracker_says_which_right_was_taken_away(
    secure: Secure, tracker: Secured, row: acls.Row
) -> None:
    allow(secure, tracker)
    with Program({**tracker.variables, "TRACKER_HTTP_PORT": "0"}) as program:
        endpoint = Endpoint(program)
        endpoint.wait_until_ready()
        [taken] = [bindings for each, bindings in tracker.acls("run") if each == row]
        secure.kafka.forbid(*taken)
        wait_until(lambda: endpoint.readiness().status == 503, "it to be reported")
        secure.kafka.allow(*taken)
        endpoint.wait_until_ready()
        assert program.stop() == 0


def test_a_destination_that_may_only_be_looked_at_costs_its_own_records_alone(
    secure: Secure, tracker: Secured
) -> None:
    allow(secure, tracker)
    results = tracker.topics.results
    secure.kafka.forbid(binding(tracker.user, ResourceType.TOPIC, results, AclOperation.WRITE))
    secure.kafka.allow(binding(tracker.user, ResourceType.TOPIC, results, AclOperation.DESCRIBE))
    tracker.submit("job")
    tracker.start(scheduler=False)
    tracker.process(
        tracker.more_work("acme:job.1"), tracker.message("acme:job.2"), tracker.more_work("acme:job.3")
    )
    assert [each.task for each in tracker.work()] == ["acme:job.1", "acme:job.3"]
    [dead_letter] = tracker.dead_letters()
    assert dead_letter.header("tracker-error-reason") == "destination-not-allowed"
    assert (
        dead_letter.header("tracker-error-detail")
        == f"the tracker may not write to the destination '{results}'"
    )
    assert tracker.rows("SELECT * FROM task_block") == []


def test_a_right_that_is_taken_away_costs_its_own_records_alone(secure: Secure, tracker: Secured) -> None:
    allow(secure, tracker)
    tracker.submit("job")
    tracker.start(scheduler=False)
    tracker.process(tracker.message("acme:job.1"))
    secure.kafka.forbid(binding(tracker.user, ResourceType.TOPIC, tracker.topics.results, AclOperation.WRITE))
    tracker.process(
        tracker.more_work("acme:job.2"), tracker.message("acme:job.3"), tracker.more_work("acme:job.4")
    )
    assert [each.task for each in tracker.work()] == ["acme:job.2", "acme:job.4"]
    assert len(tracker.results()) == 1
    [dead_letter] = tracker.dead_letters()
    assert dead_letter.header("tracker-error-reason") == "destination-not-allowed"


def test_a_job_whose_topic_may_not_be_written_waits_until_it_may(secure: Secure, tracker: Secured) -> None:
    allow(secure, tracker)
    work = binding(tracker.user, ResourceType.TOPIC, tracker.topics.work, AclOperation.WRITE)
    secure.kafka.forbid(work)
    tracker.submit("job")
    tracker.start(workers=0)
    wait_until(
        lambda: tracker.rows("SELECT eligible_time > now() FROM task_message") == [(True,)], "postponed"
    )
    secure.kafka.allow(work)
    wait_until(lambda: tracker.started() == ["acme:job"], "the job started")


def test_no_topic_is_made_where_brokers_make_them_by_themselves(secure: Secure, tracker: Secured) -> None:
    tracker.variables = {**tracker.variables, "TRACKER_KAFKA_BOOTSTRAP_SERVERS": secure.kafka.address}
    for name in [name for name in tracker.variables if "SASL" in name or "SSL" in name or "PROTOCOL" in name]:
        del tracker.variables[name]
    new = tracker.topics.work + "-new"
    tracker.submit("job")
    tracker.submit(
        "other", task=msgspec.structs.replace(cast("NewTask", tracker.job("other").task), task_pipe=new)
    )
    tracker.start()
    tracker.process(tracker.message("acme:job.1", to=new))
    assert [each.header("tracker-error-reason") for each in tracker.dead_letters()] == ["destination-unknown"]
    wait_until(lambda: tracker.rows(POSTPONED) == [(1,)], "postponed")
    assert new not in tracker.kafka.admin.list_topics(timeout=30).topics


def test_dead_letters_are_read_with_just_the_rights_that_are_listed(secure: Secure, tracker: Secured) -> None:
    allow(secure, tracker)
    tracker.start()
    tracker.process(tracker.message("acme:job.0"))
    refused = command(tracker, "dead-letters", "list", "--json")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Topic authorization failed" in refused.stderr
    [_, (state, _)] = rows = tracker.acls("dead-letters")
    secure.kafka.allow(*(each for _, bindings in rows for each in bindings))
    [letter] = tracker.dead_letters()
    state_topic = f"{tracker.topics.dead_letters}{state.name.rpartition('*')[2]}"
    assert shown_state(tracker, "list") == ["open"]
    checked = command(tracker, "config", "--check")
    assert (checked.returncode, checked.stderr) == (0, "")
    [warning] = [line for line in checked.stdout.splitlines() if state_topic in line]
    assert warning.startswith(f"Warning: the topic of states {state_topic} is missing, and ")
    assert re.search("[Aa]uthorization failed", warning)
    tracker.kafka.create({state_topic: 1})
    key = f"{letter.topic}:{letter.kafka_partition}:{letter.offset}"
    tracker.kafka.send([Record(state_topic, key.encode(), b"dropped")], state_topic)
    assert shown_state(tracker, "list", "--all") == shown_state(tracker, "show", key) == ["dropped"]


def test_dead_letters_are_replayed_with_just_the_rights_that_are_listed(
    secure: Secure, tracker: Secured
) -> None:
    allow(secure, tracker)
    with tracker.running():
        tracker.process(tracker.message("acme:job.0"), tracker.message("acme:job.00"))
    secure.kafka.forbid(*(each for _, bindings in tracker.acls("run") for each in bindings))
    secure.kafka.allow(*(each for _, bindings in tracker.acls("dead-letters") for each in bindings))
    first, second = (f"{tracker.topics.dead_letters}:0:{each.offset}" for each in tracker.dead_letters())
    to_send, *others = rows = tracker.acls("dead-letters replay")
    assert [row.name for row, _ in rows] == [
        "*tracking topic*",
        *["*dead-letter topic*.state"] * 2,
        "*group*-dead-letters",
    ]
    for _, bindings in others:
        refused = command(tracker, "dead-letters", "drop", first)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert re.search("you may not write|could not be created|[Aa]uthorization failed", refused.stderr)
        assert refused.stderr.count("\n") == 1
        secure.kafka.allow(*bindings)
    dropped = command(tracker, "dead-letters", "drop", first)
    assert (dropped.returncode, dropped.stderr) == (0, "")
    refused = command(tracker, "dead-letters", "replay", second)
    assert refused.returncode == 1
    assert "you may not write to its source topic" in refused.stderr
    secure.kafka.allow(*to_send[1])
    done = command(tracker, "dead-letters", "replay", second)
    assert (done.returncode, done.stderr) == (0, "")
    *_, sent = tracker.kafka.read(tracker.topics.tracking)
    assert sent.headers == (("tracker-error-count", b"1"),)


def test_a_report_is_sent_with_just_the_right_that_is_listed(secure: Secure, tracker: Secured) -> None:
    tracker.submit("job")
    report = ("job", "report", "acme:job.1", "--status", "Complete")
    refused = command(tracker, *report)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "does not exist, or you may not write to it" in refused.stderr
    [(_, bindings)] = tracker.acls("job report")
    secure.kafka.allow(*bindings)
    done = command(tracker, *report)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(tracker.kafka.read(tracker.topics.tracking)) == 1


def shown_state(tracker: Secured, *arguments: str) -> list[str]:
    """Return the states of the dead letters that a command prints."""
    done = command(tracker, "dead-letters", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["state"] for line in done.stdout.splitlines()]


def test_topics_are_made_with_just_the_rights_that_are_listed(secure: Secure, database: str) -> None:
    deployment = Secured(secure, database, create_topics=False)
    try:
        for _, bindings in deployment.acls("topics --create"):
            secure.kafka.allow(*bindings)
        done = command(deployment, "topics", "--create", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        made = {line["topic"]: line["created"] for line in map(json.loads, done.stdout.splitlines())}
        letters = deployment.topics.dead_letters
        assert made == dict.fromkeys((deployment.topics.tracking, letters, f"{letters}.state"), True)
    finally:
        deployment.close()


def test_topics_that_may_not_be_made_are_a_sentence(secure: Secure, database: str) -> None:
    deployment = Secured(secure, database, create_topics=False)
    try:
        done = command(deployment, "topics", "--create")
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch("The topic .* could not be created: .*[Aa]uthorization failed.*\n", done.stderr)
    finally:
        deployment.close()


def test_the_other_commands_need_no_more(secure: Secure, tracker: Secured) -> None:
    allow(secure, tracker)
    tracker.submit("job")
    with tracker.running():
        tracker.process(tracker.message("acme:job.1"))
        cancelled = command(tracker, "job", "cancel", "--wait", "acme:job")
        assert (cancelled.returncode, cancelled.stderr) == (0, "")
    tracker.database.execute("UPDATE kafka_progress SET next_offset = 7, published_offset = 7")
    checked = command(tracker, "config", "--check")
    assert (checked.returncode, checked.stderr) == (0, "")
    states = f"{tracker.topics.dead_letters}.state"
    assert f"Warning: you may not write to the topic of states {states}, and " in checked.stdout
    planned = command(tracker, "adopt", "kafka", "--dry-run")
    assert planned.returncode == 0
    adopted = command(tracker, "adopt", "kafka")
    assert adopted.returncode == 0
    assert "%" not in adopted.stderr, "librdkafka wrote there by itself"
    assert tracker.rows("SELECT next_offset FROM kafka_progress") == [(1,)]
    asked = command(tracker, "status", "--json")
    found = json.loads(asked.stdout)
    assert [each["code"] for each in found["problems"]] == ["no-members", "no-scheduler"]
    assert [each["lagRecords"] for each in found["kafkaPartitions"]] == [0]
    shown = command(tracker, "topics", "--json")
    assert [json.loads(line)["exists"] for line in shown.stdout.splitlines()] == [True, True, False]
