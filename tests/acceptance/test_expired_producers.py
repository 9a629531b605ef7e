"""A quiet tracker's producers are forgotten by the brokers: after a week by default, here after a second."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.support.deployment import Deployment, Topics
from tests.support.kafka import DEADLINE_S, wait_until
from tracker.stack import LocalStack

FORGETFUL = {
    "transactional.id.expiration.ms": "1000",
    "transaction.remove.expired.transaction.cleanup.interval.ms": "300",
    "producer.id.expiration.ms": "1000",
    "producer.id.expiration.check.interval.ms": "300",
}
STATE = "__transaction_state"


@pytest.fixture
def tracker(stack: LocalStack, database_url: str) -> Iterator[Deployment]:
    """A deployment on a broker that forgets producers soon."""
    forgetful = LocalStack(kafka_heap="512m", kafka_settings=FORGETFUL, database_url=stack.database_url)
    with forgetful:
        topics = Topics("tracking", "work", "results", "dead-letters")
        deployment = Deployment(forgetful.bootstrap_servers, database_url, topics)
        deployment.kafka.create(dict.fromkeys(topics, 1))
        try:
            yield deployment
        finally:
            deployment.close()


def forgotten(tracker: Deployment) -> set[bytes]:
    """Return the transactional IDs that the broker has forgotten, as it notes them for itself."""
    consumer = Consumer({"bootstrap.servers": tracker.kafka.bootstrap_servers, "group.id": "looks-on"})
    state: dict[bytes, bool] = {}
    try:
        ends = tracker.kafka.ends(STATE)
        consumer.assign([TopicPartition(STATE, number, 0) for (_, number), end in ends.items() if end])
        while sum(place.offset for place in consumer.position(consumer.assignment())) < sum(ends.values()):
            for message in consumer.consume(1_000, 0.2):
                assert message.error() is None
                state[bytes(message.key() or b"")] = message.value() is None
    finally:
        consumer.close()
    return {key for key, is_forgotten in state.items() if is_forgotten}


def test_it_continues_after_kafka_has_expired_its_producers(tracker: Deployment) -> None:
    tracker.submit("before")
    with tracker.running():
        tracker.wait_until_sent()
        tracker.process(tracker.message("acme:before.1"))
        wait_until(lambda: len(forgotten(tracker)) == 2, "worker and scheduler forgotten", DEADLINE_S)
        tracker.submit("after")
        tracker.process(tracker.message("acme:before.2*"))
        tracker.wait_until_sent()
    assert sorted(tracker.started()) == ["acme:after", "acme:before"]
    assert len(tracker.results()) == 2
    assert tracker.status("before") == "Completed"
