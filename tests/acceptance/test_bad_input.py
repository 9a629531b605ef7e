"""What cannot be honoured becomes a dead letter, and nothing else changes."""

from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import sql

from tests.support import invariants
from tests.support.deployment import Deployment, Topics
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import Received, wait_until
from tests.support.messages import record_of
from tests.support.model.poison import KNOWN_TOPICS, POISON, SOUND, TRACKING_TOPICS
from tests.support.raw_producer import send_raw
from tests.support.records import Record
from tests.support.times import is_recent
from tracker.metrics import DEAD_LETTERS
from tracker.stack import LocalStack
from tracker.store.migrate import migrate

OURS = ("tracker-error-", "tracker-source-", "tracker-group")


@pytest.fixture
def named_as_in_the_list() -> Iterator[Deployment]:
    """A deployment on servers of its own, with the topics that the list of bad input speaks of."""
    with LocalStack(kafka_heap="512m") as stack:
        migrate(stack.database_url)
        topics = Topics("tracking", "worker-in", "worker-out", "tracker-dead-letter")
        deployment = Deployment(stack.bootstrap_servers, stack.database_url, topics)
        deployment.kafka.create(dict.fromkeys(TRACKING_TOPICS, 1), **{"max.message.bytes": "20000000"})
        deployment.kafka.create(dict.fromkeys({*KNOWN_TOPICS, topics.dead_letters}, 1))
        deployment.variables["TRACKER_TOPICS"] = ",".join(TRACKING_TOPICS)
        try:
            yield deployment
            invariants.check_at_rest(deployment)
            deployment.stop()
        finally:
            deployment.close()


def own(received: Received) -> tuple[Any, ...]:
    """Return the headers that the record itself had."""
    return tuple(header for header in received.headers if not header[0].startswith(OURS))


def reasons(tracker: Deployment) -> list[str | None]:
    return [each.header("tracker-error-reason") for each in tracker.dead_letters()]


def test_each_kind_of_bad_input_is_one_dead_letter_and_its_batch_is_untouched(
    named_as_in_the_list: Deployment,
) -> None:
    tracker = named_as_in_the_list
    tracker.submit("job")
    tracker.submit("good")
    good = [tracker.message(f"acme:good.{number}") for number in range(1, len(POISON) + 1)]
    last = [tracker.message(f"acme:good.{len(POISON) + 1}*")]
    bad = [record_of(each.value, headers=each.headers) for each in POISON]
    mixed = [record for pair in zip(good, bad, strict=True) for record in pair] + last
    tracker.send(*mixed)
    tracker.start(scheduler=False)
    tracker.wait_until_processed(120)

    assert tracker.status("good") == "Completed"
    assert len(tracker.results()) == len(good) + 1
    assert (tracker.status("job"), tracker.rows("SELECT * FROM sibling_tasks")) == ("Waiting", [])
    by_offset = {int(each.header("tracker-source-offset") or -1): each for each in tracker.dead_letters()}
    expected = {2 * number + 1: poison.reason for number, poison in enumerate(POISON)}
    found = {offset: each.header("tracker-error-reason") for offset, each in by_offset.items()}
    wrong = {POISON[offset // 2].name: (found.get(offset), reason) for offset, reason in expected.items()
             if found.get(offset) != reason}  # fmt: skip
    assert wrong == {}
    assert len(tracker.dead_letters()) == len(POISON)
    for offset, received in by_offset.items():
        require_whole(received, mixed[offset])


def require_whole(received: Received, record: Record) -> None:
    """Fail unless the dead letter has all that the record had, and says why and whence."""
    assert (received.key, own(received)) == (record.key, tuple(record.headers))
    size = len(record.value or b"")
    truncated = received.header("tracker-error-truncated")
    if size <= 1_000_001:
        assert (received.value, truncated) == (record.value, None)
    else:
        assert truncated == str(size)
        assert (record.value or b"").startswith(received.value or b"")
        assert len(received.value or b"") > 1_000_000
    assert received.header("tracker-source-topic") == "tracking"
    assert received.header("tracker-source-partition") == "0"
    assert is_recent(int(received.header("tracker-source-timestamp") or 0))
    assert received.header("tracker-error-count") == "1"
    detail = received.header("tracker-error-detail")
    assert detail
    assert len(detail) <= 1_000
    assert len([name for name, _ in received.headers if name == "tracker-error-reason"]) == 1


def test_sound_messages_that_look_odd_are_honoured(named_as_in_the_list: Deployment) -> None:
    tracker = named_as_in_the_list
    tracker.send(*(record_of(each.value, headers=each.headers) for each in SOUND))
    tracker.start(scheduler=False)
    tracker.wait_until_processed()
    assert [(each.header("tracker-error-reason"), each.value) for each in tracker.dead_letters()] == []


def test_a_dead_letter_names_the_group_that_refused_it(running: Deployment) -> None:
    running.process(running.message("acme:job.0"))
    [dead_letter] = running.dead_letters()
    assert dead_letter.header("tracker-group") == running.group_id
    assert running.count(DEAD_LETTERS, reason="bad-job-task-id") == 1


def test_a_record_that_is_replayed_and_refused_again_counts_up(running: Deployment) -> None:
    headers = (("x-own", b"1"), ("tracker-error-unknown", b"kept?"))
    running.process(running.message("acme:job.0", headers=headers))
    for count in ("1", "2", "3"):
        newest = running.dead_letters()[-1]
        assert newest.header("tracker-error-count") == count
        assert [name for name, _ in newest.headers].count("tracker-error-reason") == 1
        assert own(newest) == (("x-own", b"1"),)
        end = running.kafka.ends(running.topics.tracking)
        running.process(Record("", newest.key, newest.value, newest.headers))
        assert running.kafka.ends(running.topics.tracking) != end
    assert running.dead_letters()[-1].header("tracker-error-count") == "4"


def test_a_replayed_record_that_is_sound_by_now_is_honoured(running: Deployment) -> None:
    later = running.topics.work + "-later"
    running.process(running.message("acme:job.1*", to=later, track_to=later))
    assert reasons(running) == ["destination-unknown"]
    running.kafka.create({later: 1})
    [dead_letter] = running.dead_letters()
    replayed = Record("", dead_letter.key, dead_letter.value, dead_letter.headers)

    def forwarded() -> bool:
        running.process(replayed)
        return bool(running.kafka.read(later))

    wait_until(forwarded, "a record forwarded")
    assert running.status("job") == "Completed"


def test_only_destinations_that_match_the_operators_patterns_are_allowed(deploy: Deploy) -> None:
    tracker = deploy()
    tracker.variables["TRACKER_DESTINATIONS"] = f"{tracker.topics.work},res*s{tracker.topics.results[7:]}"
    tracker.submit("job")
    tracker.start(scheduler=False)
    other = tracker.topics.work + "-2"
    tracker.kafka.create({other: 1})
    tracker.process(
        tracker.more_work("acme:job.1"),
        tracker.message("acme:job.2"),
        tracker.more_work("acme:job.3", to=other),
        tracker.message(None, to=other, tracking=None),
    )
    assert [len(tracker.work()), len(tracker.results()), len(tracker.kafka.read(other))] == [1, 1, 0]
    assert reasons(tracker) == ["destination-not-allowed"] * 2


@pytest.mark.parametrize("own_topic", ["tracking", "dead_letters"])
def test_the_trackers_own_topics_are_no_destination(deploy: Deploy, own_topic: str) -> None:
    tracker = deploy()
    second = tracker.topics.tracking + "-second"
    tracker.kafka.create({second: 1})
    tracker.variables["TRACKER_TOPICS"] += "," + second
    tracker.submit("job")
    tracker.start(scheduler=False)
    tracker.kafka.send([tracker.more_work("acme:job.1", to=getattr(tracker.topics, own_topic))], second)
    tracker.wait_until_processed()
    assert reasons(tracker) == ["destination-not-allowed"]


def test_larger_records_are_allowed_where_the_operator_says_so(deploy: Deploy) -> None:
    tracker = deploy(TRACKER_MAX_MESSAGE_BYTES="2000")
    tracker.submit("job")
    tracker.start(scheduler=False)
    size = len(tracker.message("acme:job.1", padding="").value or b"")
    tracker.process(
        tracker.message("acme:job.1", padding="x" * (2_000 - size)),
        tracker.message("acme:job.2", padding="x" * (2_001 - size)),
    )
    assert reasons(tracker) == ["too-large"]
    assert len(tracker.results()) == 1


def test_a_dead_letter_that_does_not_fit_its_topic_is_cut(deploy: Deploy) -> None:
    tracker = deploy()
    small = tracker.topics.dead_letters + "-small"
    tracker.kafka.create({small: 1}, **{"max.message.bytes": "20000"})
    tracker.variables["TRACKER_DEAD_LETTER_TOPIC"] = small
    tracker.submit("job")
    tracker.start(scheduler=False)
    sent = tracker.message("acme:job.0", padding="x" * 30_000, headers=(("x-own", b"y" * 1_000),))
    tracker.process(sent)
    [dead_letter] = tracker.kafka.read(small)
    assert dead_letter.header("tracker-error-truncated") == str(len(sent.value or b""))
    assert (sent.value or b"").startswith(dead_letter.value or b"")
    assert 15_000 < len(dead_letter.value or b"") < 20_000
    assert own(dead_letter) == sent.headers


def test_what_the_database_refuses_is_found_and_the_rest_of_its_batch_is_kept(tracker: Deployment) -> None:
    """Nothing that passes the validation is known to be refused: a constraint does it here."""
    tracker.client.submit([tracker.job("job"), tracker.job("refused"), tracker.job("other")])
    tracker.database.execute(
        sql.SQL("ALTER TABLE task_failure ADD CHECK (failure_message <> {})").format("the wrong words")
    )
    good = [tracker.message(f"acme:job.{number}") for number in range(1, 200)]
    bad = [
        tracker.message("acme:refused.1", status="INVALID_TASK", task_data=b"the wrong words"),
        tracker.message("acme:other.7", status="INVALID_TASK", task_data=b"the wrong words"),
    ]
    fine = tracker.message("acme:other.1", status="INVALID_TASK", task_data=b"better words")
    tracker.send(*good[:50], bad[0], *good[50:], bad[1], fine, tracker.message("acme:job.200*"))
    tracker.start(scheduler=False)
    tracker.wait_until_processed()
    assert tracker.statuses("job", "refused", "other") == ["Completed", "Waiting", "Failed"]
    assert len(tracker.results()) == 201
    assert reasons(tracker) == ["database-rejected"] * 2
    assert {each.value for each in tracker.dead_letters()} == {each.value for each in bad}
    detail = tracker.dead_letters()[0].header("tracker-error-detail")
    assert detail is not None
    assert "PostgreSQL" in detail


def test_a_header_whose_name_is_not_utf_8_makes_a_dead_letter_and_stops_nothing(running: Deployment) -> None:
    """The client library raises an error at the first look at such headers, and shows none at the second.

    In calls that Python has made often, it comes up only at the next statement.
    """
    value = running.message("acme:job.2").value
    assert value is not None
    running.send(*[running.message(f"acme:job.{number}") for number in range(4, 104)])
    send_raw(
        running.kafka.bootstrap_servers, running.topics.tracking, value, [(b"x-\xff", b"1"), (b"ok", b"2")]
    )
    running.process(running.message("acme:job.3"))
    [letter] = running.dead_letters()
    assert (letter.value, letter.header("tracker-error-reason")) == (value, "wrong-type")
    assert "header is not UTF-8" in (letter.header("tracker-error-detail") or "")
    assert "ok" not in dict(letter.headers)
    assert len(running.results()) == 101
