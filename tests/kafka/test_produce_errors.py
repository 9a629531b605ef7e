"""Each error on produce is the message's, the destination's, or ours; each is tried on a mocked broker."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.kafka.mock_cluster import MockCluster, mock_cluster
from tracker.kafka.destinations import Destinations
from tracker.kafka.errors import BatchAbandoned, ClockRefused, MessagesRefused
from tracker.kafka.produce_errors import Fault, fault_of
from tracker.kafka.producer import BatchProducer, OutgoingMessage
from tracker.messages.refusal import Reason
from tracker.metrics import Recorder
from tracker.settings import load

MESSAGE = ["MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD", "POLICY_VIOLATION"]
DESTINATION = ["TOPIC_AUTHORIZATION_FAILED", "TOPIC_EXCEPTION", "UNSUPPORTED_FOR_MESSAGE_FORMAT"]
UNKNOWN = ["UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION"]
"""Librdkafka tries again while the metadata has the topic: acceptance/test_destinations.py takes it away."""
OURS = [
    "INVALID_TIMESTAMP",
    "UNSUPPORTED_COMPRESSION_TYPE",
    "INVALID_REQUIRED_ACKS",
    "CLUSTER_AUTHORIZATION_FAILED",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    "INVALID_TXN_STATE",
    "INVALID_PRODUCER_EPOCH",
    "UNKNOWN",
    "UNSUPPORTED_VERSION",
]
TOPIC = "results"


class Producing:
    """A producer at a mocked broker."""

    def __init__(self, cluster: MockCluster) -> None:
        self.cluster = cluster
        self.asked_about: list[str] = []
        settings = load(
            {
                "TRACKER_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap_servers,
                "TRACKER_DATABASE_URL": "postgresql:///none",
            }
        )
        self._group = Consumer(
            {"bootstrap.servers": cluster.bootstrap_servers, "group.id": "group"}
        ).consumer_group_metadata()
        self._producer = BatchProducer(
            settings, "id", Recorder(), lambda _: None, lambda topic, _error: self.asked_about.append(topic)
        )

    def publish(self) -> None:
        """Publish a batch of three messages."""
        messages = [OutgoingMessage(TOPIC, b"key", b"%d" % number, None) for number in range(3)]
        self._producer.publish([], [], [], messages, [TopicPartition(TOPIC, 0, 1)], self._group)

    def refused(self) -> list[str]:
        """Publish, twice, and return the names of the errors that messages were refused for."""
        for _ in range(2):
            try:
                self.publish()
            except MessagesRefused as refused:
                return [error.name() for error in refused.errors.values()]
            except BatchAbandoned:
                continue
        return []


@pytest.fixture
def producing() -> Iterator[Producing]:
    with mock_cluster() as cluster:
        cluster.create(TOPIC)
        yield Producing(cluster)


def error(name: str) -> KafkaError:
    return KafkaError(getattr(KafkaError, name))


@pytest.mark.parametrize("code", MESSAGE)
def test_an_error_of_the_message_refuses_it(producing: Producing, code: str) -> None:
    assert fault_of(error(code)) is Fault.MESSAGE
    producing.publish()
    producing.cluster.answer_produce_with(getattr(KafkaError, code), 20)
    assert set(producing.refused()) == {code}
    producing.cluster.answer_well()
    with suppress(BatchAbandoned):
        producing.publish()


@pytest.mark.parametrize("code", DESTINATION)
def test_an_error_of_the_destination_asks_about_it(producing: Producing, code: str) -> None:
    assert fault_of(error(code)) is Fault.DESTINATION
    producing.publish()
    producing.cluster.answer_produce_with(getattr(KafkaError, code), 20)
    assert producing.refused() == []
    assert set(producing.asked_about) == {TOPIC}


@pytest.mark.parametrize("code", UNKNOWN)
def test_a_topic_that_is_not_known_is_the_destinations_fault(code: str) -> None:
    assert fault_of(error(code)) is Fault.DESTINATION


@pytest.mark.parametrize("code", OURS)
def test_an_error_of_ours_refuses_nothing_and_is_tried_again(producing: Producing, code: str) -> None:
    assert fault_of(error(code)) is Fault.OURS
    producing.publish()
    producing.cluster.answer_produce_with(getattr(KafkaError, code), 20)
    with pytest.raises(BatchAbandoned) as given_up:
        producing.publish()
    assert isinstance(given_up.value, ClockRefused) == (code == "INVALID_TIMESTAMP")
    assert producing.refused() == []
    producing.cluster.answer_well()
    producing.publish()


@pytest.mark.parametrize("code", DESTINATION)
def test_a_destination_that_says_no_is_not_asked_again_at_once(code: str) -> None:
    destinations = Destinations(AdminClient({}), [], [], _not_called)
    destinations.record_failure(TOPIC, error(code))
    refusal = destinations.find_refusal(TOPIC)
    assert refusal is not None
    assert refusal.reason is Reason.DESTINATION_NOT_ALLOWED


def _not_called(unanswered: KafkaException) -> None:
    raise unanswered
