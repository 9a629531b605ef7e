"""Why many jobs stand where they stand: the first reason of each, and how many have which."""

import random
import re
from collections import Counter
from functools import partial
from typing import Any

import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import job, set_status
from tracker import Client, InvalidQuery, ReasonCount, Why
from tracker.diagnosis import many as many_module
from tracker.diagnosis import roots as roots_module
from tracker.diagnosis.many import summarize_matching
from tracker.diagnosis.roots import Edge, Root, first_roots
from tracker.job_filter import EVERY_JOB, HasName
from tracker.job_status import STATUSES
from tracker.jobs.validation import read_job_name
from tracker.store.steps import Prepared, Query, Row, Verb

WAITING, ACTIVE, PAUSED, FAILED, CANCELLED, COMPLETED = STATUSES


CHANGES = """
UPDATE job SET status = 5, end_time = now(), end_record = 'in:0:7' WHERE job_id = 'completed';
UPDATE job SET status = 3, end_time = now(), root_job_id = 'failed' WHERE job_id = 'propagated';
UPDATE job SET pause_time = now() - interval '3 hours' WHERE job_id LIKE 'paused%';
UPDATE job SET contradicted = true WHERE job_id = 'contradicted';
UPDATE task_message
SET not_sent_reason = 'the topic in does not exist', eligible_time = now() - interval '1 day'
FROM job WHERE job.job_key = task_message.job_key AND job_id = 'no-topic';
INSERT INTO job_note (tenant_key, job_key, dropped, drop_reason, drop_record, dead_letters,
    dead_letter_reason, dead_letter_record)
SELECT tenant_key, job_key, 3, 'failed', 'in:0:1', CASE job_id WHEN 'lost' THEN 2 ELSE 0 END,
    'too-deep', 'in:0:2'
FROM job WHERE job_id IN ('lost', 'dropped');
INSERT INTO held_message (tenant_key, job_key, destination, message_value)
SELECT tenant_key, job_key, 'out', '' FROM job, generate_series(1, 7) WHERE job_id = 'paused';
INSERT INTO task_failure (tenant_key, job_key, path, failure_id, failure_time_ms, failure_source,
    failure_message)
SELECT tenant_key, job_key, number::text, 'E' || number % 2, 0, '', 'it broke'
FROM job, generate_series(1, 5) AS number WHERE job_id IN ('failed', 'failing');
"""


@pytest.fixture
def of_each_kind(client: Client, connection: Connection) -> Client:
    """A job for each reason, and some for two of them."""
    client.submit(
        [
            job("completed"), job("cancelled"), job("failed"), job("propagated", "failed"),
            job("failing"), job("broken"), job("paused"), job("paused-waits", "active"), job("active"),
            job("waits", "active", "nobody"), job("lost", "active"), job("delayed", delay=3600),
            job("due"), job("no-topic"), job("sent"), job("dropped"), job("contradicted"),
            job("suspended", partition_id="p"), job("suspended-waits", "suspended", partition_id="p"),
        ]
    )  # fmt: skip
    client.suspend_partition("p")
    for name, status in {
        "failed": FAILED, "failing": ACTIVE, "broken": FAILED, "paused": PAUSED, "paused-waits": PAUSED,
        "active": ACTIVE, "sent": WAITING, "dropped": ACTIVE, "contradicted": ACTIVE,
    }.items():  # fmt: skip
        set_status(connection, name, status)
    client.cancel("cancelled")
    connection.execute(CHANGES)
    return client


def first_of(found: Why) -> dict[str, Any]:
    """Return the first reason, without the time that has passed meanwhile."""
    reason = found.reasons[0]
    text = re.sub(r"[0-9]+ seconds?", "a moment", reason.text)
    return {name: getattr(reason, name) for name in reason.__struct_fields__} | {"text": text}


# Their tasks are not read.
WITHOUT_TREE = {"default:active", "default:failing"}


def test_the_reason_of_each_is_the_first_of_what_is_said_of_it_alone(of_each_kind: Client) -> None:
    found = {str(each): each for each in of_each_kind.why_matching()}
    assert len(found) == of_each_kind.count()
    for name, each in found.items():
        alone = of_each_kind.why(name)
        assert (each.status, each.percentage_complete, each.partial) == (
            alone.status,
            alone.percentage_complete,
            False,
        )
        if name not in WITHOUT_TREE:
            assert first_of(each) == first_of(alone), name
    codes = {name.partition(":")[2]: each.reasons[0].code for name, each in found.items()}
    assert codes == {
        "completed": "ended", "cancelled": "ended", "propagated": "ended",
        "failed": "failed-tasks", "failing": "failed-tasks", "broken": "failed-tasks",
        "suspended": "partition-suspended", "suspended-waits": "partition-suspended",
        "paused": "paused", "paused-waits": "paused",
        "waits": "unmet-prerequisites", "lost": "unmet-prerequisites",
        "delayed": "delayed", "due": "not-sent", "no-topic": "not-sent",
        "sent": "missing-tasks", "active": "missing-tasks", "dropped": "dropped",
        "contradicted": "contradiction",
    }  # fmt: skip
    assert (
        found["default:failing"].reasons[0].text
        == "5 tasks have failed: 3 times E1 (it broke), 2 times E0 (it broke)."
    )
    running = found["default:active"].reasons[0]
    assert running.text.startswith("It is at 0.00 %. Nothing has been reported for ")
    assert (running.since, running.command) == (
        of_each_kind.get("active").last_update_time_ms,
        "tracker job missing default:active",
    )


def test_of_each_job_a_hundred_failures_and_held_messages_are_counted(
    client: Client, connection: Connection
) -> None:
    client.submit([job("failed"), job("paused")])
    for name, status in (("failed", FAILED), ("paused", PAUSED)):
        set_status(connection, name, status)
    for number in (100, 101):
        connection.execute(
            "INSERT INTO task_failure (tenant_key, job_key, path, failure_id, failure_time_ms,"
            " failure_source, failure_message) SELECT tenant_key, job_key, number::text, 'E', 0, '', 'x'"
            " FROM job, generate_series(1, %s) AS number WHERE job_id = 'failed' ON CONFLICT DO NOTHING",
            [number],
        )
        connection.execute("DELETE FROM held_message")
        connection.execute(
            "INSERT INTO held_message (tenant_key, job_key, destination, message_value)"
            " SELECT tenant_key, job_key, 'out', '' FROM job, generate_series(1, %s) WHERE job_id = 'paused'",
            [number],
        )
        failed, paused = (each.reasons[0] for each in client.why_matching())
        if number == 100:
            assert (failed.text[:23], failed.count) == ("100 tasks have failed: ", 100)
            assert paused.text.endswith("100 of its messages are held.")
        else:
            assert (failed.text[:33], failed.count) == ("More than 100 tasks have failed: ", None)
            assert paused.text.endswith("More than 100 of its messages are held.")


def test_those_that_have_not_completed_come_first_in_steps(
    client: Client, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_module, "STEP_JOBS", 3)
    names = [f"j{number:02}" for number in range(20)]
    for name in names:
        client.submit([job(name, partition_id=f"p{name[-1]}", labels={"of": name[-1]})])
    for name in names[:9]:
        set_status(connection, name, COMPLETED)
    set_status(connection, "j15", CANCELLED)
    found = [each.id for each in client.why_matching()]
    assert found[:11] == names[9:]
    assert sorted(found[11:]) == names[:9]
    assert [each.id for each in client.why_matching(status="Completed", partition_id="p3")] == ["j03"]
    assert [each.id for each in client.why_matching(label="of=5")] == ["j15", "j05"]
    assert [each.id for each in client.why_matching(matching="id=in=(j01,j19)")] == ["j19", "j01"]
    wanted = HasName((read_job_name("p1:j01"), read_job_name("p9:j19")))
    assert sorted(each.id for each in client.why_matching(matching=wanted)) == ["j01", "j19"]
    assert list(client.why_matching(status="Failed")) == []
    with pytest.raises(InvalidQuery):
        list(client.why_matching(status="Lost"))


def counts(client: Client, **filters: Any) -> list[tuple[int, str, str | None]]:
    found = client.why_summary(**filters)
    assert found.jobs == sum(each.count for each in found.reasons)
    return [(each.count, each.code, each.subject) for each in found.reasons]


def test_reasons_are_counted(of_each_kind: Client) -> None:
    summary = of_each_kind.why_summary()
    assert (summary.jobs, summary.has_more) == (19, False)
    codes = Counter(each.reasons[0].code for each in of_each_kind.why_matching())
    assert sum(map(Counter, [{each.code: each.count} for each in summary.reasons]), Counter()) == codes
    texts = {each.text for each in summary.reasons}
    assert texts == {
        "3 jobs have ended.",
        "3 jobs have failed tasks.",
        "2 jobs are not sent, because partition ID p is suspended.",
        "2 jobs are paused.",
        "1 job waits for default:nobody, which is not stored.",
        "1 job waits for default:active, which runs.",
        "1 job is delayed.",
        "2 jobs are not sent yet.",
        "2 jobs have tasks that have not completed.",
        "1 job has dropped messages.",
        "1 job has contradictory reports.",
    }


def test_those_that_wait_are_counted_by_the_job_for_which_they_wait_in_the_end(
    client: Client, connection: Connection
) -> None:
    client.submit(
        [
            job("nightly"), job("daily"), job("middle", "nightly"),
            *(job(f"a{number}", "middle", "daily") for number in range(4)),
            *(job(f"b{number}", "daily") for number in range(3)),
            job("nightly", partition_id="other"), job("c", "nightly", partition_id="other"),
        ]
    )  # fmt: skip
    set_status(connection, "daily", PAUSED)
    connection.execute("UPDATE job SET status = 3 WHERE job_id = 'nightly' AND tenant_key = 1")
    [most, *_] = found = client.why_summary(status="Waiting").reasons
    assert most == ReasonCount(
        code=most.code,
        text="5 jobs wait for default:nightly, which has failed.",
        subject="default:nightly",
        count=5,
        command="tracker job retry default:nightly",
    )
    assert [(each.count, each.subject, each.command) for each in found[1:]] == [
        (3, "default:daily", "tracker job resume default:daily"),
        (1, None, None),  # other:nightly
        (1, "other:nightly", "tracker job why other:nightly"),
    ]
    assert counts(client, waiting_for="daily") == [
        (4, "unmet-prerequisites", "default:nightly"), (3, "unmet-prerequisites", "default:daily"),
    ]  # fmt: skip


def test_a_cycle_has_no_root(client: Client, connection: Connection) -> None:
    client.submit([job("a"), job("b", "a"), job("c", "b")])
    connection.execute(
        "INSERT INTO prerequisite (tenant_key, prerequisite_job_id, job_key)"
        " SELECT tenant_key, 'b', job_key FROM job WHERE job_id = 'a'"
    )
    connection.execute("UPDATE task_message SET unmet = 1, eligible_time = NULL")
    assert client.why_summary().reasons[0].text == "3 jobs wait for other jobs."


def test_the_root_of_each_is_the_first_of_what_is_said_of_it_alone(
    client: Client, connection: Connection
) -> None:
    chance = random.Random(7)
    names = [f"j{number}" for number in range(60)]
    client.submit(
        [
            job(name, *(chance.sample([*names[:place], "nobody"], min(place, chance.randrange(4)))))
            for place, name in enumerate(names)
        ]
    )
    for name in names:
        status = chance.choice([WAITING, WAITING, WAITING, ACTIVE, PAUSED, FAILED, CANCELLED])
        connection.execute(
            "UPDATE job SET status = %s, root_job_id = %s WHERE job_id = %s",
            [status.number, "x" if status is FAILED and chance.random() < 0.5 else None, name],
        )
    expected: Counter[str | None] = Counter()
    for each in client.why_matching():
        if each.reasons[0].code == "unmet-prerequisites":
            expected[client.why(str(each)).reasons[1].subject] += 1
    assert len(expected) > 5
    found = {subject: count for count, code, subject in counts(client) if code == "unmet-prerequisites"}
    assert found == dict(expected)


def test_a_summary_looks_at_so_many_jobs_and_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.submit([job("a"), *(job(f"w{number}", "a") for number in range(9))])
    monkeypatch.setattr(many_module, "STEP_JOBS", 4)
    for most, looked_at, has_more in ((9, 9, True), (10, 10, False), (11, 10, False)):
        monkeypatch.setattr(many_module, "MOST_JOBS", most)
        summary = client.why_summary()
        assert (summary.jobs, summary.has_more) == (looked_at, has_more)
    monkeypatch.setattr(roots_module, "MOST_EDGES", 5)
    assert {each.subject: each.count for each in client.why_summary(prefix="w").reasons} == {
        "default:a": 5, None: 4,
    }  # fmt: skip


def counted(verb: Prepared[Any], steps: list[str]) -> Prepared[Any]:
    """Note each step of a verb."""

    def begin() -> Verb[Any]:
        begun = verb.begin()
        rows: list[Row] = []
        try:
            while True:
                step = begun.send(rows) if steps else next(begun)
                assert isinstance(step, Query)
                steps.append(step.statement.as_string(None)[:80])
                rows = yield step
        except StopIteration as end:
            return end.value

    return Prepared(partial(begin))


def test_the_number_of_queries_does_not_grow_with_the_jobs(client: Client) -> None:
    numbers = []
    for count in (2, 500):
        client.submit([job("a"), *(job(f"w{number}", "a") for number in range(count))])
        steps: list[str] = []
        client.run(counted(summarize_matching(EVERY_JOB), steps))
        numbers.append(len(steps))
    assert numbers[0] == numbers[1] < 20


def test_the_most_telling_root_wins_however_far_it_is() -> None:
    edges = [
        Edge(1, 10, "near", 20, WAITING, True),
        Edge(1, 10, "middle", 30, WAITING, False),
        Edge(1, 30, "far", 40, FAILED, True),
        Edge(1, 11, "gone", None, None, True),
        Edge(1, 11, "near", 20, WAITING, True),
        Edge(2, 10, "near", 50, WAITING, True),
    ]
    assert first_roots(edges) == {
        (1, 10): Root("far", FAILED),
        (1, 30): Root("far", FAILED),
        (1, 11): Root("gone", None),
        (2, 10): Root("near", WAITING),
    }
