"""Offsets that do not belong to the database any more: workers refuse, and `tracker adopt` puts it right.

`forwarded` has the numbers of all messages that were sent on, so that one that is lost, or sent on again,
shows.
"""

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import NewPartitions
from typer.testing import CliRunner

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.disagreement import (
    adopt,
    delete_group,
    forwarded,
    numbered,
    process,
    recreate_topic,
    refusal,
    set_offset,
)
from tests.support.kafka import DEADLINE_S, Kafka, wait_until
from tracker.adoption import store_skip
from tracker.cli.commands import app
from tracker.kafka.errors import BatchAbandoned
from tracker.kafka.producer import BatchProducer
from tracker.lifeline import ExitStatus
from tracker.messages.skipped_records import SkippedRecords
from tracker.store.skip_store import read_skips

FIRST, MORE = range(1, 11), range(11, 16)
ALL = [*FIRST, *MORE]


@pytest.fixture
def tracker(deploy: Deploy) -> Deployment:
    """A deployment with one Kafka partition, whose job has 10 completed tasks; it is stopped."""
    tracker = deploy(partitions=1)
    tracker.submit("job")
    process(tracker, FIRST)
    return tracker


def percentage(tasks: int) -> object:
    return pytest.approx(100 * tasks / (max(ALL) + 1), abs=0.01)


# --- set back


def test_an_offset_that_was_set_back_is_refused_and_nothing_is_done_twice(tracker: Deployment) -> None:
    set_offset(tracker, 4)
    tracker.send(*numbered(tracker, MORE))
    assert "its offset 4 is behind what is known to be published (10): the offset was set by hand" in (
        refusal(tracker)
    )
    assert forwarded(tracker) == [*FIRST]
    assert adopt(tracker, "database").startswith(
        f"Kafka partition 0 of topic '{tracker.topics.tracking}': its offset 4 is behind what is known to be"
        " published (10): the offset was set by hand; the group's offset becomes 10.\n"
    )
    process(tracker, [])
    assert (forwarded(tracker), tracker.percentage("job")) == (ALL, percentage(15))


def test_an_offset_may_be_set_back_to_do_work_again(tracker: Deployment) -> None:
    set_offset(tracker, 4)
    assert "offsets 4 to 9 are reported again, and forwarded again for jobs that have not ended" in (
        adopt(tracker, "kafka")
    )
    process(tracker, MORE)
    assert (forwarded(tracker), tracker.percentage("job")) == ([*FIRST, *range(5, 16)], percentage(15))


def unpublished(tracker: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the messages of `MORE`, and one that completes another job, applied, and not published."""

    def never(*_: object) -> None:
        raise BatchAbandoned("a test wants it")

    tracker.submit("short")
    tracker.send(*numbered(tracker, MORE), *numbered(tracker, [99], job="short"))
    with monkeypatch.context() as patch:
        patch.setattr(BatchProducer, "publish", never)
        with tracker.running(scheduler=False):
            wait_until(
                lambda: tracker.rows("SELECT next_offset FROM kafka_progress") == [(16,)], "all applied"
            )


def test_what_is_not_known_to_be_published_is_forwarded(
    tracker: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between what is published and what is applied, only an offset of the tracker's own says where it is."""
    unpublished(tracker, monkeypatch)
    set_offset(tracker, 14)
    assert "was set by hand, and of what is applied, 10 to 15 may not be published" in refusal(tracker)
    assert "offsets 10 to 15, which may have been forwarded, are forwarded again" in (
        adopt(tracker, "database")
    )
    process(tracker, [])
    assert forwarded(tracker) == [*ALL, 99]


def test_unpublished_records_are_not_abandoned_when_work_is_repeated(
    tracker: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpublished(tracker, monkeypatch)
    set_offset(tracker, 4)
    result = CliRunner().invoke(app, ["adopt", "kafka"], env=tracker.variables)
    assert "offsets 10 to 15 are applied and may not be forwarded" in str(result.exception)
    assert result.exit_code == 1
    adopt(tracker, "database")
    process(tracker, [])
    set_offset(tracker, 4)
    adopt(tracker, "kafka")
    process(tracker, [])
    assert forwarded(tracker) == [*ALL, 99, *range(5, 16), 99]


# --- set ahead


@pytest.mark.parametrize("offset", [14, 1_000])
def test_an_offset_that_was_set_ahead_is_refused_and_nothing_is_skipped(
    tracker: Deployment, offset: int
) -> None:
    tracker.send(*numbered(tracker, MORE))
    set_offset(tracker, offset)
    assert refusal(tracker)
    assert forwarded(tracker) == [*FIRST]
    assert "the group's offset becomes 10" in adopt(tracker, "database")
    process(tracker, [])
    assert (forwarded(tracker), tracker.percentage("job")) == (ALL, percentage(15))


@pytest.mark.parametrize("offset", [14, 1_000])
def test_an_offset_may_be_set_ahead_to_skip(tracker: Deployment, offset: int) -> None:
    tracker.send(*numbered(tracker, MORE))
    set_offset(tracker, offset)
    end = min(offset, 15)
    assert f"offsets 10 to {end - 1} are neither reported nor forwarded" in adopt(tracker, "kafka")
    process(tracker, [20])
    assert forwarded(tracker) == [*FIRST, *range(end + 1, 16), 20]


# --- gone


def test_offsets_that_are_gone_are_refused(tracker: Deployment) -> None:
    delete_group(tracker)
    tracker.send(*numbered(tracker, MORE))
    assert "its offset is gone, and the database has applied it up to 10" in refusal(tracker)
    adopt(tracker, "database")
    process(tracker, [])
    assert forwarded(tracker) == ALL


def test_offsets_that_are_gone_may_mean_to_begin_again(tracker: Deployment) -> None:
    delete_group(tracker)
    assert "offsets 0 to 9 are reported again" in adopt(tracker, "kafka")
    process(tracker, MORE)
    assert (forwarded(tracker), tracker.percentage("job")) == ([*FIRST, *ALL], percentage(15))


def test_kafka_keeps_the_offsets_of_a_group_that_runs(tracker: Deployment) -> None:
    tracker.start(scheduler=False)
    with pytest.raises(KafkaException, match="group is not empty"):
        delete_group(tracker)
    with pytest.raises((KafkaException, AssertionError)):
        set_offset(tracker, 0)
    tracker.process(*numbered(tracker, MORE))
    assert forwarded(tracker) == ALL


def test_records_that_the_topic_has_deleted_are_reported_as_lost(tracker: Deployment) -> None:
    tracker.send(*numbered(tracker, ALL[10:]))
    tracker.kafka.delete_records(tracker.topics.tracking, before=13)
    assert "has a committed offset that its topic does not have" in refusal(tracker)
    assert "offsets 10 to 12 are neither reported nor forwarded" in adopt(tracker, "database")
    process(tracker, [20])
    assert forwarded(tracker) == [*FIRST, 14, 15, 20]


# --- the topic


@pytest.mark.parametrize("leader", ["database", "kafka"])
def test_a_recreated_topic_is_refused_and_is_then_read_from_its_start(
    tracker: Deployment, leader: str
) -> None:
    recreate_topic(tracker)
    tracker.send(*numbered(tracker, MORE))
    assert "was deleted and recreated" in refusal(tracker)
    assert "the group's offset becomes 0, and the topic is read from there" in adopt(tracker, leader)
    process(tracker, [])
    assert (forwarded(tracker), tracker.percentage("job")) == (ALL, percentage(15))


def test_what_was_to_be_skipped_is_forgotten_with_its_topic(tracker: Deployment) -> None:
    request = SkippedRecords(tracker.topics.tracking, 0, 12, 15, "it cannot be received")
    store_skip(tracker.settings, request)
    set_offset(tracker, 4)
    adopt(tracker, "database")
    assert read_skips(tracker.database_url) == [request]
    recreate_topic(tracker)
    adopt(tracker, "database")
    assert read_skips(tracker.database_url) == []


def test_a_topic_that_is_recreated_while_it_is_read_is_noticed(tracker: Deployment) -> None:
    """Also when it has more records at once than the old one: the worker's offset is then one of the new."""
    member = tracker.start_worker()
    tracker.workers.remove(member)
    recreate_topic(tracker)
    numbers = range(11, 111)
    tracker.send(*numbered(tracker, numbers))
    assert member.wait() == ExitStatus.REFUSED
    assert "recreated" in adopt(tracker, "database")
    process(tracker, [])
    assert {*forwarded(tracker)} == {*FIRST, *numbers}
    assert tracker.percentage("job") == pytest.approx(100 * 110 / 111, abs=0.01)


def test_kafka_partitions_may_be_added_while_it_runs(deploy: Deploy) -> None:
    often = {"TRACKER_KAFKA_CONSUMER_TOPIC_METADATA_REFRESH_INTERVAL_MS": "300"}
    tracker = deploy(partitions=1, **often)
    tracker.submit("job")
    tracker.start(workers=2, scheduler=False)
    tracker.process(*numbered(tracker, FIRST))
    new = NewPartitions(tracker.topics.tracking, 4)
    tracker.kafka.admin.create_partitions([new])[tracker.topics.tracking].result(DEADLINE_S)
    wait_until(lambda: len(tracker.kafka.partitions(tracker.topics.tracking)) == 4, "four of them")
    fresh = Kafka(tracker.kafka.bootstrap_servers)  # one that has not heard of a single one
    for number, record in enumerate(numbered(tracker, MORE)):
        fresh.send([record], tracker.topics.tracking, number % 4)
    tracker.wait_until_processed()
    assert (sorted(forwarded(tracker)), tracker.percentage("job")) == (ALL, percentage(15))


# --- the command


def test_nothing_is_adopted_while_something_runs(tracker: Deployment) -> None:
    tracker.start(scheduler=False)
    result = CliRunner().invoke(app, ["adopt", "database"], env=tracker.variables)
    assert result.exit_code == 1
    assert "stop every 'tracker run'" in str(result.exception)
    tracker.stop()
    tracker.start_scheduler()
    set_offset(tracker, 4)
    result = CliRunner().invoke(app, ["adopt", "database"], env=tracker.variables)
    assert "a scheduler is active" in str(result.exception)
    tracker.stop()
    adopt(tracker, "database")
