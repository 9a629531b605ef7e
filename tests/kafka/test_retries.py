"""Calls that Kafka has made again are counted."""

from confluent_kafka import KafkaError, KafkaException

from tests.support.environments import loaded
from tracker.kafka.producer import BatchProducer
from tracker.metrics import KAFKA_RETRIES, Recorder


def test_each_call_that_is_made_again_is_counted() -> None:
    recorder = Recorder()
    producer = BatchProducer(loaded(), "test", recorder, lambda _: None)
    errors = [KafkaError(KafkaError._TIMED_OUT, "later", retriable=True)] * 3

    def commit_transaction() -> None:
        if errors:
            raise KafkaException(errors.pop())

    producer._retry(commit_transaction)
    assert recorder.snapshot()[KAFKA_RETRIES.name] == {(): (3.0,)}
