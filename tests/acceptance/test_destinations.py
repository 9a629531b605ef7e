"""Destinations that disappear, or refuse a message, while all runs: that costs their own records only."""

import uuid

import pytest

from tests.support import invariants
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import wait_until
from tests.support.records import Headers, Record
from tracker import NewTask
from tracker.metrics import KAFKA_ABORTS

SMALL_BYTES = 20_000


def other_topic(tracker: Deployment, **config: str) -> str:
    """Make one more destination."""
    name = f"other-{uuid.uuid4().hex[:12]}"
    tracker.kafka.create({name: 1}, **config)
    return name


def letters(tracker: Deployment) -> dict[str, tuple[str | None, str | None, str | None]]:
    """Return the dead letters, by task: reason, and which record it was."""
    found = {}
    for letter in tracker.dead_letters():
        assert letter.task not in found, "twice"
        reason, offset = letter.header("tracker-error-reason"), letter.header("tracker-source-offset")
        found[letter.task] = reason, letter.header("tracker-source-topic"), offset
    return found


def named(tracker: Deployment, topic: str) -> list[str | None]:
    """Return what came to a topic."""
    return [each.header("task") for each in tracker.kafka.read(topic)]


def check_others(tracker: Deployment, *tasks: str) -> None:
    """Fail unless these were forwarded to the results, in this order, and nothing else was."""
    assert named(tracker, tracker.topics.results) == list(tasks)
    invariants.check_at_rest(tracker)


def done(tracker: Deployment, task: str, topic: str = "", size_bytes: int = 2) -> Record:
    """Make a message that ends at a topic, and that says in a header which it is."""
    topic = topic or tracker.topics.results
    headers: Headers = (("task", task.encode()),)
    return tracker.message(task, to=topic, track_to=topic, task_data=b"x" * size_bytes, headers=headers)


def test_a_message_that_is_too_large_for_its_topic_alone_is_refused(deploy: Deploy, delivery: str) -> None:
    tracker = deploy(partitions=1, TRACKER_DELIVERY=delivery)
    small = other_topic(tracker, **{"max.message.bytes": str(SMALL_BYTES)})
    tracker.submit("job")
    tracker.start()
    tracker.wait_until_sent()
    records = [done(tracker, f"acme:job.{number}") for number in range(1, 41)]
    records[10] = done(tracker, "acme:job.11", small, SMALL_BYTES)
    records[30] = done(tracker, "acme:job.31", small, SMALL_BYTES)
    records[20] = done(tracker, "acme:job.21", small)
    tracker.process(*records)
    assert letters(tracker) == {
        f"acme:job.{number}": ("too-large", tracker.topics.tracking, str(number - 1)) for number in (11, 31)
    }
    if delivery == "exactly_once":
        others = [number for number in range(1, 41) if number not in (11, 21, 31)]
        check_others(tracker, *(f"acme:job.{number}" for number in others))
        assert named(tracker, small) == ["acme:job.21"]


def test_a_topic_that_takes_no_large_batches_is_sent_small_ones(deploy: Deploy) -> None:
    tracker = deploy(partitions=1)
    small = other_topic(tracker, **{"max.message.bytes": "100000"})
    tracker.submit("job")
    tracker.start()
    tracker.wait_until_sent()
    names = [f"acme:job.{number}" for number in range(1, 401)]
    tracker.process(*(done(tracker, name, small, 2_000) for name in names))
    assert named(tracker, small) == names
    assert tracker.dead_letters() == []
    tracker.process(*(done(tracker, name, small, 2_000) for name in names))
    aborts = tracker.count(KAFKA_ABORTS)
    assert aborts > 0
    tracker.process(*(done(tracker, name, small, 2_000) for name in names))
    assert tracker.count(KAFKA_ABORTS) == aborts


def test_a_message_without_a_key_is_refused_by_a_compacted_topic_alone(deploy: Deploy) -> None:
    tracker = deploy(partitions=1)
    compacted = other_topic(tracker, **{"cleanup.policy": "compact"})
    tracker.submit("job")
    tracker.start()
    tracker.wait_until_sent()
    keyless = done(tracker, "acme:job.2", compacted)._replace(key=None)
    tracker.process(done(tracker, "acme:job.1"), keyless, done(tracker, "acme:job.3"))
    assert letters(tracker) == {"acme:job.2": ("destination-not-allowed", tracker.topics.tracking, "1")}
    check_others(tracker, "acme:job.1", "acme:job.3")


def test_a_topic_that_disappears_costs_its_own_records(deploy: Deploy) -> None:
    """That it has gone is heard of at once, or when the Kafka transaction times out."""
    tracker = deploy(partitions=1, TRACKER_KAFKA_PRODUCER_TRANSACTION_TIMEOUT_MS="4000")
    other = other_topic(tracker)
    tracker.submit("job")
    tracker.start()
    tracker.wait_until_sent()
    tracker.process(done(tracker, "acme:job.1", other), done(tracker, "acme:job.2"))
    assert letters(tracker) == {}
    tracker.kafka.admin.delete_topics([other])[other].result(timeout=30)
    tracker.process(done(tracker, "acme:job.3", other), done(tracker, "acme:job.4"))
    assert letters(tracker) == {"acme:job.3": ("destination-unknown", tracker.topics.tracking, "2")}
    check_others(tracker, "acme:job.2", "acme:job.4")


def test_a_dead_letter_that_its_topic_does_not_take_any_more_is_cut(deploy: Deploy) -> None:
    tracker = deploy(partitions=1)
    tracker.submit("job")
    tracker.start()
    tracker.wait_until_sent()
    config = {"max.message.bytes": str(SMALL_BYTES)}
    tracker.kafka.configure(tracker.topics.dead_letters, **config)
    bad = done(tracker, "acme:job.0", size_bytes=2 * SMALL_BYTES)
    tracker.process(bad, done(tracker, "acme:job.1"))
    [letter] = tracker.dead_letters()
    assert letter.header("tracker-error-reason") == "bad-job-task-id"
    assert int(letter.header("tracker-error-truncated") or 0) == len(bad.value or b"")
    check_others(tracker, "acme:job.1")


@pytest.mark.parametrize("by", ["scheduler", "worker"])
def test_a_job_whose_topic_does_not_take_its_task_keeps_no_other_from_starting(
    deploy: Deploy, by: str
) -> None:
    tracker = deploy(partitions=1)
    small = other_topic(tracker, **{"max.message.bytes": str(SMALL_BYTES)})
    task = NewTask(
        task_classifier="DocumentWorker",
        task_api_version=1,
        task_data={"large": "x" * SMALL_BYTES},
        task_pipe=small,
        target_pipe=tracker.topics.results,
    )
    first = ["first"] if by == "worker" else []
    tracker.start()
    tracker.submit("first")
    tracker.client.submit(
        [
            tracker.job("one", *first),
            tracker.job("two-large", *first, task=task),
            tracker.job("three", *first),
        ]
    )
    if by == "worker":
        tracker.process(tracker.message("acme:first"))
    wait_until(lambda: set(tracker.started()) == {"acme:first", "acme:one", "acme:three"}, "others start")
    tracker.submit("later")
    wait_until(lambda: "acme:later" in tracker.started(), "later ones start")
    assert len(tracker.started()) == 4
    assert tracker.status("two-large") == "Waiting"
    tracker.kafka.configure(small, **{"max.message.bytes": "1000000"})
    tracker.rows("UPDATE task_message SET eligible_time = now() WHERE sent_time IS NULL RETURNING job_key")
    wait_until(lambda: [each.task for each in tracker.kafka.read(small)] == ["acme:two-large"], "it starts")
    tracker.wait_until_sent()


@pytest.mark.parametrize("how", ["deleted", "too small"])
def test_a_held_message_whose_destination_is_gone_is_a_dead_letter(deploy: Deploy, how: str) -> None:
    tracker = deploy(partitions=1)
    other = other_topic(tracker)
    tracker.submit("job")
    tracker.submit("paused")
    tracker.start()
    tracker.wait_until_sent()
    tracker.client.pause(["acme:paused"])
    headers: Headers = (("kept", b"yes"),)
    held = tracker.message(
        "acme:paused.1", to=other, track_to=None, task_data=b"x" * SMALL_BYTES, headers=headers
    )
    tracker.process(done(tracker, "acme:job.1"), held, tracker.more_work("acme:paused.2"))
    if how == "deleted":
        tracker.kafka.admin.delete_topics([other])[other].result(timeout=30)
    else:
        tracker.kafka.configure(other, **{"max.message.bytes": str(SMALL_BYTES)})
    tracker.client.resume(["acme:paused"])
    tracker.wait_until_sent()
    reason = "destination-unknown" if how == "deleted" else "too-large"
    assert letters(tracker) == {"acme:paused.1": (reason, tracker.topics.tracking, "1")}
    [letter] = tracker.dead_letters()
    assert letter.header("kept") == "yes"
    assert letter.value == held.value
    assert int(letter.header("tracker-source-timestamp") or 0) > 0
    assert [each.task for each in tracker.work() if "." in each.task] == ["acme:paused.2"]
    check_others(tracker, "acme:job.1")
