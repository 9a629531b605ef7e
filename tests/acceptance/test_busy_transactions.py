"""A topic whose records each come in a transaction: as many markers as records, and one at the end."""

import uuid

from confluent_kafka import Producer

from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import DEADLINE_S

RECORDS = 60


def test_markers_at_the_end_of_a_busy_topic_cost_nothing(deploy: Deploy) -> None:
    tracker = deploy(partitions=1, TRACKER_BATCH_SIZE="10")
    tracker.submit("job")
    producer = Producer(
        {"bootstrap.servers": tracker.kafka.bootstrap_servers, "transactional.id": uuid.uuid4().hex}
    )
    producer.init_transactions(DEADLINE_S)
    names = [f"acme:job.{number}{'*' * (number == RECORDS)}" for number in range(1, RECORDS + 1)]
    tracker.start()
    for number, name in enumerate(names):
        producer.begin_transaction()
        record = tracker.message(name)
        producer.produce(tracker.topics.tracking, record.value, record.key)
        if number % 10 == 9:  # never to be seen; then sent again
            producer.flush()
            producer.abort_transaction(DEADLINE_S)
            producer.begin_transaction()
            producer.produce(tracker.topics.tracking, record.value, record.key)
        producer.commit_transaction(DEADLINE_S)
        if number == RECORDS // 2:
            tracker.stop()
            tracker.start()
    tracker.wait_until_processed()  # up to the end of the topic, which is a marker
    tracker.wait_until_sent()
    assert len(tracker.results()) == RECORDS
    assert tracker.status("job") == "Completed"
    tracker.stop()
    tracker.start()  # from there
    tracker.process(tracker.message(None))
    assert len(tracker.results()) == RECORDS + 1
