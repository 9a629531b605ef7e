"""What cannot even be received stops its own Kafka partition, is named, and is skipped on request."""

from functools import partial
from typing import Any

import pytest

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import wait_until
from tests.support.unreceivable import SMALL_RECEIVER, send_bomb, send_huge
from tracker.adoption import plan_skip, store_skip
from tracker.errors import TrackerError
from tracker.kafka.batch import Batch
from tracker.kafka.consumer import BatchConsumer
from tracker.kafka.errors import BatchAbandoned
from tracker.kafka.producer import BatchProducer
from tracker.kafka.unreceivable import Stuck
from tracker.lifeline import ExitStatus
from tracker.messages.skipped_records import SkippedRecords
from tracker.metrics import DEAD_LETTERS, UNRECEIVABLE

ROOMY = {"max.message.bytes": "20000000"}


def detail(tracker: Deployment) -> str:
    return "; ".join(member.lifeline.status().detail for member in tracker.workers if member.lifeline.status)


def send_to(tracker: Deployment, kafka_partition: int, *tasks: str) -> None:
    tracker.send(*map(tracker.message, tasks), kafka_partition=kafka_partition)


def arrived(tracker: Deployment) -> int:
    return len(tracker.results())


def _have_arrived(tracker: Deployment, number: int) -> bool:
    return arrived(tracker) == number


def stuck_at(tracker: Deployment, offset: int) -> bool:
    topic = tracker.topics.tracking
    return f"offset {offset} of Kafka partition 0 of topic {topic!r} cannot be received" in detail(tracker)


@pytest.mark.parametrize("kind", ["packed too tightly", "too large"])
def test_what_cannot_be_received_is_named_and_skipped(deploy: Deploy, kind: str, delivery: str) -> None:
    variables = SMALL_RECEIVER if kind == "too large" else {}
    tracker = deploy(partitions=2, TRACKER_DELIVERY=delivery, **variables)
    tracker.kafka.configure(tracker.topics.tracking, **ROOMY)
    topic = tracker.topics.tracking
    tracker.submit("job")
    tracker.start(scheduler=False)
    send_to(tracker, 0, "acme:job.1", "acme:job.2")
    tracker.wait_until_processed()
    (send_huge if kind == "too large" else send_bomb)(tracker.kafka.bootstrap_servers, topic, 0)
    next_offset = 2 + (1 if kind == "too large" else 2_000)
    send_to(tracker, 0, "acme:job.3")

    wait_until(lambda: stuck_at(tracker, 2), "it says what it cannot receive")
    assert f"tracker adopt --skip {topic}:0:2" in detail(tracker)
    assert tracker.count(UNRECEIVABLE, topic=topic, kafka_partition="0") == 1
    assert all(member.ready for member in tracker.workers)
    for number in range(3, 8):  # a single one may be fetched by luck
        send_to(tracker, 1, f"acme:job.1{number}")
        wait_until(partial(_have_arrived, tracker, number), "another Kafka partition continues")

    skip = plan_skip(tracker.settings, topic, 0, 2)
    assert skip == SkippedRecords(topic, 0, 2, next_offset, skip.reason)
    store_skip(tracker.settings, skip)
    tracker.wait_until_processed()
    assert arrived(tracker) == 8
    [letter] = tracker.dead_letters()
    assert letter.header("tracker-error-reason") == "unreceivable"
    assert letter.header("tracker-source-offset") == "2"
    assert skip.reason in (letter.header("tracker-error-detail") or "")
    assert tracker.count(DEAD_LETTERS, reason="unreceivable") == 1
    wait_until(lambda: detail(tracker) == "", "all is well")
    wait_until(lambda: tracker.rows("SELECT count(*) FROM record_skip") == [(0,)], "the request is forgotten")
    send_to(tracker, 0, "acme:job.5")
    tracker.wait_until_processed()
    assert (arrived(tracker), len(tracker.dead_letters())) == (9, 1)


def test_only_what_cannot_be_received_can_be_skipped(deploy: Deploy) -> None:
    tracker = deploy(partitions=1)
    tracker.submit("job")
    topic = tracker.topics.tracking
    send_bomb(tracker.kafka.bootstrap_servers, topic, 0)
    send_to(tracker, 0, "acme:job.1")
    send_bomb(tracker.kafka.bootstrap_servers, topic, 0)
    settings = tracker.settings
    assert plan_skip(settings, topic, 0, 0)[:4] == (topic, 0, 0, 2_000)
    assert plan_skip(settings, topic, 0, 1_999)[:4] == (topic, 0, 1_999, 2_000)
    assert plan_skip(settings, topic, 0, 3_000)[:4] == (topic, 0, 3_000, 4_001)
    for place, why in (
        ((topic, 0, 2_000), "can be received"),
        ((topic, 0, 9_000), "can be received"),
        ((topic, 7, 0), "there is no Kafka partition 7"),
        (("elsewhere", 0, 0), "not one of TRACKER_TOPICS"),
    ):
        with pytest.raises(TrackerError, match=why):
            plan_skip(settings, *place)


def test_a_skip_that_is_abandoned_is_repeated_with_one_dead_letter(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database has recorded the skip by then, and knows that the Kafka partition has advanced."""
    tracker = deploy(partitions=1)
    topic = tracker.topics.tracking
    publish = BatchProducer.publish
    abandoned: list[Any] = []

    def failing(
        producer: BatchProducer, records: Any, destinations: Any, values: Any, others: Any, *rest: Any
    ) -> None:
        if not records and others and len(abandoned) < 2:
            abandoned.append(others)
            raise BatchAbandoned("a test wants it")
        publish(producer, records, destinations, values, others, *rest)

    monkeypatch.setattr(BatchProducer, "publish", failing)
    send_bomb(tracker.kafka.bootstrap_servers, topic, 0)
    store_skip(tracker.settings, plan_skip(tracker.settings, topic, 0, 0))
    tracker.submit("job")
    send_to(tracker, 0, "acme:job.1")
    tracker.start(scheduler=False)
    tracker.wait_until_processed()
    assert len(abandoned) == 2
    assert (arrived(tracker), len(tracker.dead_letters())) == (1, 1)


def test_a_job_starts_that_a_record_has_released_before_it_is_skipped(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was received and applied, and its Kafka transaction aborted. Then a disk has damaged it, say."""
    tracker = deploy(partitions=1)
    topic = tracker.topics.tracking
    tracker.submit("first")
    tracker.submit("second", "first")
    poll, publish = BatchConsumer.poll, BatchProducer.publish
    abandoned: list[Any] = []

    def failing(producer: BatchProducer, records: Any, *rest: Any) -> None:
        if records:
            abandoned.append(records)
            raise BatchAbandoned("a test wants it")
        publish(producer, records, *rest)

    def damaged(consumer: BatchConsumer, *arguments: Any) -> Batch | None:
        batch = poll(consumer, *arguments)
        if batch is None or not abandoned:
            return batch
        consumer._assignment.positions[topic, 0] = 0
        consumer._assignment.assigned_offsets.update(batch.assigned_offsets)
        consumer.unreceivable.stuck[topic, 0] = Stuck(0, "it is damaged")
        return None

    monkeypatch.setattr(BatchProducer, "publish", failing)
    monkeypatch.setattr(BatchConsumer, "poll", damaged)
    store_skip(tracker.settings, SkippedRecords(topic, 0, 0, 1, "it is damaged"))
    send_to(tracker, 0, "acme:first.1*")
    tracker.start(scheduler=False)
    tracker.wait_until_processed()
    assert (len(abandoned), len(tracker.dead_letters())) == (1, 1)
    assert tracker.status("first") == "Completed"
    assert tracker.started() == ["acme:second"]


def test_what_retention_has_removed_is_waited_for_no_more(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Kafka partition is not fetched, so nothing there would show that the record is gone."""
    monkeypatch.setattr("tracker.pipeline.skips._TRY_AGAIN_EVERY_S", 1.0)
    tracker = deploy(partitions=1, **SMALL_RECEIVER)
    tracker.kafka.configure(tracker.topics.tracking, **ROOMY)
    topic = tracker.topics.tracking
    tracker.submit("job")
    tracker.start(scheduler=False)
    send_to(tracker, 0, "acme:job.1")
    tracker.wait_until_processed()
    send_huge(tracker.kafka.bootstrap_servers, topic, 0)
    wait_until(lambda: "cannot be received" in detail(tracker), "it says what it cannot receive")
    send_to(tracker, 0, "acme:job.2")
    tracker.kafka.delete_records(topic, before=2)
    worker = tracker.workers.pop()
    assert worker.wait() == ExitStatus.REFUSED, "the record is lost, which is not for a worker to pass over"


def test_a_suspicion_that_was_wrong_is_dropped_without_a_record(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response was damaged on its way, say, and was the last that there was."""
    monkeypatch.setattr("tracker.pipeline.skips._TRY_AGAIN_EVERY_S", 1.0)
    tracker = deploy(partitions=1)
    tracker.submit("job")
    poll = BatchConsumer.poll
    suspected: list[int] = []

    def suspicious(consumer: BatchConsumer, *arguments: Any) -> Batch | None:
        for key, offset in consumer.positions().items():
            if offset > 0 and not suspected:
                suspected.append(offset)
                consumer.unreceivable.stuck[key] = Stuck(offset, "it is damaged")
        return poll(consumer, *arguments)

    monkeypatch.setattr(BatchConsumer, "poll", suspicious)
    tracker.start(scheduler=False)
    send_to(tracker, 0, "acme:job.1")
    wait_until(lambda: "it is damaged" in detail(tracker), "it says so")
    wait_until(lambda: detail(tracker) == "", "it finds that this was wrong")
