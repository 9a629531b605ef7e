"""Sends one record for a command."""

import time

from confluent_kafka import KafkaError, Message, Producer

from tracker.errors import TrackerError
from tracker.kafka.explain import explain, kafka_errors
from tracker.kafka.inspection import SILENT, connect_admin, kafka_partition_counts
from tracker.kafka.properties import single_producer_properties
from tracker.settings import Settings

_TIMEOUT_S = 60.0


def send_record(settings: Settings, topic: str, key: bytes, value: bytes) -> None:
    """Send a record, and return when Kafka has it. Its key decides on the Kafka partition.

    :raises TrackerError: the topic does not exist, or Kafka refuses; the record is not sent. Or Kafka does
        not answer, and it is not known whether it was sent.
    """
    if topic not in kafka_partition_counts(connect_admin(settings)):
        # A broker does not tell those who may not describe a topic that it exists.
        raise TrackerError(f"the topic {topic} does not exist, or you may not write to it")
    heard: list[KafkaError] = []
    failed: list[KafkaError] = []

    def note(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    with kafka_errors():
        properties = single_producer_properties(settings) | {"error_cb": heard.append}
        producer = Producer(properties, logger=SILENT)
        producer.produce(topic, value, key, on_delivery=note)
        deadline = time.monotonic() + _TIMEOUT_S
        while producer.flush(1.0):
            if time.monotonic() > deadline:
                error = heard[-1] if heard else KafkaError(KafkaError._TIMED_OUT)
                producer.purge()
                raise TrackerError(f"{explain(error)}; it is not known whether the record was sent")
    if failed:
        raise TrackerError(explain(failed[0]))
