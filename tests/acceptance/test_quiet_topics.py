"""The last that a topic has is no record: markers of transactions, and records of aborted ones.

The group's offset goes past them all the same, and the database goes with it. So lag reaches 0, and retention
may remove what nobody is to read.
"""

import uuid
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message, Producer, TopicPartition

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.disagreement import adopt, forwarded, numbered, refusal
from tests.support.kafka import DEADLINE_S, wait_until
from tests.support.records import Record
from tracker.kafka.consumer import BatchConsumer
from tracker.kafka.errors import BatchAbandoned
from tracker.kafka.producer import BatchProducer
from tracker.metrics import BATCHES

PROGRESS = "SELECT next_offset, published_offset FROM kafka_progress ORDER BY kafka_partition"


class Transactions:
    """Writes to the tracking topic in transactions."""

    def __init__(self, tracker: Deployment) -> None:
        self._topic = tracker.topics.tracking
        self._producer = Producer(
            {"bootstrap.servers": tracker.kafka.bootstrap_servers, "transactional.id": uuid.uuid4().hex}
        )
        self._producer.init_transactions(DEADLINE_S)

    def begin(self, *records: Record, kafka_partition: int = 0) -> None:
        """Write records in a transaction that stays open."""
        self._producer.begin_transaction()
        for record in records:
            headers: Any = list(record.headers)
            self._producer.produce(self._topic, record.value, record.key, kafka_partition, headers=headers)
        assert self._producer.flush(DEADLINE_S) == 0

    def commit(self, *records: Record) -> None:
        """Write records, or only end the transaction that is open."""
        if records:
            self.begin(*records)
        self._producer.commit_transaction(DEADLINE_S)

    def abort(self, *records: Record) -> None:
        """Write records that nobody is to read, or only end the transaction that is open."""
        if records:
            self.begin(*records)
        self._producer.abort_transaction(DEADLINE_S)


@pytest.fixture
def tracker(deploy: Deploy) -> Deployment:
    """A deployment with one Kafka partition, and a job."""
    tracker = deploy(partitions=1)
    tracker.submit("job")
    return tracker


@pytest.fixture
def transactions(tracker: Deployment) -> Transactions:
    return Transactions(tracker)


def end_of(tracker: Deployment) -> int:
    """Return the offset after the last marker or record."""
    return tracker.kafka.ends(tracker.topics.tracking)[tracker.topics.tracking, 0]


def offset_of(tracker: Deployment) -> int:
    """Return the group's offset."""
    return tracker.kafka.committed(tracker.group_id, tracker.topics.tracking)[tracker.topics.tracking, 0]


def delete_all_records(tracker: Deployment) -> None:
    """Do what retention does once a topic has been quiet for long enough."""
    topic = tracker.topics.tracking
    wait_until(lambda: tracker.kafka.ends(topic) == tracker.kafka.ends(topic, committed=True), "all decided")
    tracker.kafka.delete_records(topic, before=end_of(tracker))


def test_the_offset_goes_to_the_end_of_a_topic_whose_last_transaction_was_aborted(
    tracker: Deployment, transactions: Transactions
) -> None:
    with tracker.running(scheduler=False):
        transactions.commit(*numbered(tracker, [1, 2]))
        transactions.abort(*numbered(tracker, [3, 4]))
        tracker.wait_until_processed()  # which is: the group's offset is the end of the topic
        assert end_of(tracker) == 6
        wait_until(
            lambda: tracker.rows(PROGRESS) == [(6, 6)], "the database has it, and knows that Kafka has"
        )
    assert forwarded(tracker) == [1, 2]


def test_retention_may_remove_what_nobody_is_to_read(tracker: Deployment, transactions: Transactions) -> None:
    with tracker.running(scheduler=False):
        transactions.commit(*numbered(tracker, [1, 2]))
        tracker.wait_until_processed()
        transactions.abort(*numbered(tracker, [3, 4]))
        tracker.wait_until_processed()
        delete_all_records(tracker)
        tracker.start_worker()  # a rebalance
        tracker.process(*numbered(tracker, [5]))
    with tracker.running(scheduler=False):
        transactions.abort(*numbered(tracker, [6]))
        tracker.wait_until_processed()
        delete_all_records(tracker)
    with tracker.running(scheduler=False):  # a restart
        tracker.process(*numbered(tracker, [7]))
    assert forwarded(tracker) == [1, 2, 5, 7]


def test_of_a_topic_that_never_had_a_record_for_anyone_the_end_is_committed(
    tracker: Deployment, transactions: Transactions
) -> None:
    transactions.abort(*numbered(tracker, [1, 2]))
    with tracker.running(scheduler=False):
        tracker.wait_until_processed()
        delete_all_records(tracker)
    with tracker.running(scheduler=False):
        tracker.process(*numbered(tracker, [3]))
    assert forwarded(tracker) == [3]


def test_without_kafka_transactions_of_its_own_it_goes_there_too(deploy: Deploy) -> None:
    tracker = deploy(partitions=1, TRACKER_DELIVERY="at_least_once")
    tracker.submit("job")
    transactions = Transactions(tracker)
    with tracker.running(scheduler=False):
        transactions.commit(*numbered(tracker, [1, 2]))
        transactions.abort(*numbered(tracker, [3, 4]))
        tracker.wait_until_processed()
        delete_all_records(tracker)
    with tracker.running(scheduler=False):
        tracker.process(*numbered(tracker, [5]))
    assert forwarded(tracker) == [1, 2, 5]


def test_what_is_not_decided_is_not_passed(tracker: Deployment, transactions: Transactions) -> None:
    other = Transactions(tracker)
    with tracker.running(scheduler=False):
        other.abort(*numbered(tracker, [1, 2]))
        transactions.begin(*numbered(tracker, [3, 4]))
        other.abort(*numbered(tracker, [5]))
        wait_until(lambda: offset_of(tracker) == 3, "all that is decided passed")
        assert tracker.rows("SELECT next_offset FROM kafka_progress") == [(3,)]
    with tracker.running(scheduler=False):
        transactions.commit()
        tracker.wait_until_processed()
    assert forwarded(tracker) == [3, 4]


def test_at_rest_nothing_more_is_committed(
    tracker: Deployment, transactions: Transactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tracker's own transactions must not give it something to commit, for ever."""
    committed, looks = [0], [0]
    publish, pass_markers = BatchProducer.publish, BatchConsumer.pass_markers

    def counted(producer: BatchProducer, *arguments: Any) -> None:
        committed[0] += 1
        publish(producer, *arguments)

    def looked(consumer: BatchConsumer) -> Any:
        looks[0] += 1
        return pass_markers(consumer)

    monkeypatch.setattr(BatchProducer, "publish", counted)
    monkeypatch.setattr(BatchConsumer, "pass_markers", looked)
    with tracker.running(scheduler=True):
        transactions.abort(*numbered(tracker, [1]))
        tracker.wait_until_processed()
        tracker.wait_until_sent()
        before, until = committed[0], looks[0] + 10
        wait_until(lambda: looks[0] >= until, "some looks for something to pass")
        assert committed[0] == before
        assert tracker.count(BATCHES) == 0


def test_it_is_done_again_where_kafka_did_not_take_it(
    tracker: Deployment, transactions: Transactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([1, 2])
    publish = BatchProducer.publish

    def failing(producer: BatchProducer, *arguments: Any) -> None:
        if next(failures, 0):
            raise BatchAbandoned("a test wants it")
        publish(producer, *arguments)

    monkeypatch.setattr(BatchProducer, "publish", failing)
    with tracker.running(scheduler=False):
        transactions.abort(*numbered(tracker, [1, 2]))
        tracker.wait_until_processed()
        assert next(failures, 0) == 0
        tracker.process(*numbered(tracker, [3]))
    assert forwarded(tracker) == [3]


class Complaining:
    """A consumer that returns an error once, after it has passed something."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self.complaints: list[KafkaError] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def poll(self, timeout_s: float) -> Any:
        found = self._consumer.poll(timeout_s)
        if found is None and self.complaints:
            return Message(topic="", error=self.complaints.pop())
        return found


def test_an_error_that_comes_with_it_does_not_lose_the_way(
    tracker: Deployment, transactions: Transactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker once moved on without the database, which it then thought to be set back."""
    made: list[Complaining] = []
    subscribe = BatchConsumer.subscribe

    def complaining(consumer: BatchConsumer) -> None:
        if not made:
            made.append(Complaining(consumer._consumer))
            consumer._consumer = made[0]  # type: ignore[assignment]
        subscribe(consumer)

    monkeypatch.setattr(BatchConsumer, "subscribe", complaining)
    monkeypatch.setattr(BatchConsumer, "pass_markers", lambda _: None)
    with tracker.running(scheduler=False):
        tracker.process(*numbered(tracker, [1]))
        transactions.abort(*numbered(tracker, [2, 3]))
        wait_until(lambda: _position(made[0], tracker) == 4, "markers passed")
        made[0].complaints.append(KafkaError(KafkaError._TRANSPORT))
        wait_until(lambda: not made[0].complaints, "an error")
        tracker.process(*numbered(tracker, [4]))
    assert forwarded(tracker) == [1, 4]


def _position(consumer: Any, tracker: Deployment) -> int:
    [position] = consumer.position([TopicPartition(tracker.topics.tracking, 0)])
    return int(position.offset)


@pytest.mark.parametrize("leader", ["database", "kafka"])
def test_where_retention_was_faster_adopt_is_the_way_out(
    tracker: Deployment, transactions: Transactions, leader: str
) -> None:
    """As a version did that stayed before the markers; or while nothing ran."""
    with tracker.running(scheduler=False):
        tracker.process(*numbered(tracker, [1]))
    transactions.abort(*numbered(tracker, [2, 3]))
    delete_all_records(tracker)
    assert "has a committed offset that its topic does not have" in refusal(tracker)
    assert "the group's offset becomes 4" in adopt(tracker, leader)
    with tracker.running(scheduler=False):
        tracker.process(*numbered(tracker, [4]))
    assert forwarded(tracker) == [1, 4]
