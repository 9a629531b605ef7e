"""`tracker job cancel --wait` returns once no message from before the cancel can be forwarded any more."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.support.deployment import Deployment
from tests.support.kafka import DEADLINE_S
from tests.support.typed import Typed, TypedCommand, type_command
from tracker.kafka.producer import BatchProducer

PASSED = "Nothing from before is forwarded any more; {} dropped on the way.\n"
NOBODY = "No tracker reads the messages: the group {} has no members.\n"


def cancel(tracker: Deployment, *arguments: str, **variables: str) -> Typed:
    return type_command(tracker, "job", "cancel", "--wait", *arguments, **variables)


def cancel_and_start(tracker: Deployment, *arguments: str) -> Typed:
    """Cancel while no tracker runs, and start one once the command waits for it."""
    with TypedCommand(tracker, "job", "cancel", "--wait", *arguments) as command:
        command.wait_for(NOBODY.format(tracker.group_id).strip())
        tracker.start(scheduler=False)
        return command.end()


def send_many(tracker: Deployment, **counts: int) -> None:
    """Send messages of jobs while no tracker runs."""
    for job_id, count in counts.items():
        tracker.send(*(tracker.more_work(f"acme:{job_id}.{number}") for number in range(1, count + 1)))


@pytest.fixture
def hold_publishing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Hold up members after the database has what they are about to send, while a block lasts.

    The block begins once one of them is held up, which `send` must cause.
    """
    publish = BatchProducer.publish
    reached, resume = threading.Event(), threading.Event()
    resume.set()

    def held(
        producer: BatchProducer, records: Any, destinations: Any, values: Any, messages: Any, *rest: Any
    ) -> None:
        if records or messages:
            reached.set()
            assert resume.wait(DEADLINE_S)
        publish(producer, records, destinations, values, messages, *rest)

    @contextmanager
    def hold(send: Callable[[], object]) -> Iterator[None]:
        reached.clear()
        resume.clear()
        try:
            send()
            assert reached.wait(DEADLINE_S)
            yield
        finally:
            resume.set()

    monkeypatch.setattr(BatchProducer, "publish", held)
    return hold


def test_it_waits_for_what_no_tracker_has_read_and_counts_what_is_dropped(tracker: Deployment) -> None:
    tracker.submit("job")
    send_many(tracker, job=20)
    late = cancel(tracker, "acme:job", "--timeout", "0.5")
    assert (late.status, late.out) == (3, "acme:job: cancelled\n")
    assert late.err == NOBODY.format(tracker.group_id) + (
        "The time is up, and the tracker has not read 20 records from before the cancel;"
        " 0 messages were dropped until now, and the cancel is done.\n"
    )
    done = cancel_and_start(tracker, "acme:job")
    assert (done.status, done.out) == (
        0,
        "acme:job: was cancelled already\n" + PASSED.format("20 messages were"),
    )
    assert tracker.work() == []
    assert cancel(tracker, "acme:job", "--json").out.splitlines()[-1] == '{"droppedOnTheWay":0}'


@pytest.mark.parametrize("way", ["cascade", "matching"])
def test_with_what_waits_for_a_job_or_all_that_match(tracker: Deployment, way: str) -> None:
    tracker.client.submit([tracker.job("a"), tracker.job("b", "a"), tracker.job("other")])
    send_many(tracker, a=2, b=3, other=4)
    which = ("--cascade", "acme:a") if way == "cascade" else ("--all-matching", "--filter", "id=in=(a,b)")
    done = cancel_and_start(tracker, *which, "--json")
    assert done.status == 0
    assert json.loads(done.out.splitlines()[-1]) == {"droppedOnTheWay": 5}
    assert tracker.statuses("a", "b", "other") == ["Cancelled", "Cancelled", "Waiting"]
    assert [record.key for record in tracker.work()] == [b"acme:other"] * 4


def test_it_waits_for_a_batch_that_was_decided_before_the_cancel(
    running: Deployment, hold_publishing: Callable[..., Any]
) -> None:
    with hold_publishing(lambda: running.send(running.message("acme:job.1"))):
        late = cancel(running, "acme:job", "--timeout", "0.5")
        assert (late.status, running.results()) == (3, [])
        assert "has not read 1 record from before the cancel; 0 messages were dropped" in late.err
    done = cancel(running, "acme:job")
    assert (done.status, done.err) == (0, "")
    assert len(running.results()) == 1


def test_it_waits_for_what_the_scheduler_had_begun_to_send(
    tracker: Deployment, hold_publishing: Callable[..., Any]
) -> None:
    tracker.start()
    with hold_publishing(lambda: tracker.submit("job")):
        late = cancel(tracker, "acme:job", "--timeout", "0.5")
        assert (late.status, tracker.work()) == (3, [])
        assert "the scheduler has not ended what it was sending at the cancel" in late.err
    assert cancel(tracker, "acme:job").status == 0
    assert tracker.started() == ["acme:job"]


def test_markers_and_aborted_records_at_the_end_keep_it_from_nothing(running: Deployment) -> None:
    producer = Producer(
        {"bootstrap.servers": running.kafka.bootstrap_servers, "transactional.id": uuid.uuid4().hex}
    )
    producer.init_transactions(DEADLINE_S)
    for end in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        for number in running.kafka.partitions(running.topics.tracking):
            producer.produce(running.topics.tracking, running.message("acme:job.1").value, partition=number)
        assert producer.flush(DEADLINE_S) == 0
        end(DEADLINE_S)
    done = cancel(running, "acme:job")
    assert (done.status, done.err) == (0, "")


def test_where_kafka_is_away_the_cancel_is_done_and_said_to_be(running: Deployment) -> None:
    done = cancel(running, "acme:job", TRACKER_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert (done.status, done.out) == (1, "acme:job: cancelled\n")
    assert done.err.startswith("Kafka does not answer: ")
    assert done.err.endswith(
        "; the cancel is done, and messages from before it may still be forwarded: do it again to wait for"
        " them.\n"
    )
    assert running.status("job") == "Cancelled"


def test_a_tracking_topic_that_is_not_there_is_no_success(running: Deployment) -> None:
    topics = f"{running.topics.tracking},it-is-not-there"
    done = cancel(running, "acme:job", TRACKER_TOPICS=topics)
    assert (done.status, done.out) == (1, "acme:job: cancelled\n")
    assert done.err.startswith("It is not known what is left of it-is-not-there: ")


def test_what_retention_removes_meanwhile_is_not_waited_for(tracker: Deployment) -> None:
    tracker.submit("job")
    tracker.send(tracker.message("acme:job.1"), kafka_partition=0)
    with TypedCommand(tracker, "job", "cancel", "--wait", "acme:job") as command:
        command.wait_for(NOBODY.format(tracker.group_id).strip())
        tracker.kafka.delete_records(tracker.topics.tracking, before=1)
        done = command.end()
    assert (done.status, done.out) == (0, "acme:job: cancelled\n" + PASSED.format("0 messages were"))
