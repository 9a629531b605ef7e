"""What the metrics say of how far behind the tracker is."""

import time
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.disagreement import numbered
from tests.support.kafka import DEADLINE_S, wait_until
from tracker.metrics import LAG, LAG_SECONDS
from tracker.store.connect import connect

HOUR_S = 3_600.0


@pytest.fixture
def tracker(deploy: Deploy) -> Deployment:
    """A running deployment with one Kafka partition, and a job; it reads few records at a time."""
    tracker = deploy(partitions=1, TRACKER_BATCH_SIZE="5")
    tracker.submit("job")
    tracker.start(scheduler=False)
    return tracker


def lag(tracker: Deployment) -> tuple[float, float]:
    return tracker.count(LAG), tracker.count(LAG_SECONDS)


def in_an_outage(tracker: Deployment, work: Callable[[], None]) -> None:
    """Do something while no batch is taken by the database."""
    with connect(tracker.database_url) as other:
        other.execute("LOCK TABLE kafka_progress")
        work()


def test_nothing_counts_as_done_that_is_not_committed(tracker: Deployment) -> None:
    """Also where it was polled; and also what comes while nothing is polled any more."""

    def outage() -> None:
        tracker.send(*numbered(tracker, range(1, 51)))
        wait_until(lambda: lag(tracker)[0] == 50, "a lag of 50")
        tracker.send(*numbered(tracker, range(51, 71)))
        wait_until(lambda: lag(tracker)[0] == 70, "a lag of 70")

    in_an_outage(tracker, outage)
    tracker.wait_until_processed()
    wait_until(lambda: lag(tracker) == (0, 0), "no lag")


def test_the_age_is_that_of_the_oldest_record(tracker: Deployment) -> None:
    def outage() -> None:
        producer = Producer({"bootstrap.servers": tracker.kafka.bootstrap_servers})
        for record, age_s in zip(numbered(tracker, [1, 2]), (2 * HOUR_S, 1 * HOUR_S), strict=True):
            written_ms = int((time.time() - age_s) * 1000)
            producer.produce(tracker.topics.tracking, record.value, record.key, timestamp=written_ms)
            assert producer.flush(DEADLINE_S) == 0
        wait_until(lambda: 2 * HOUR_S <= lag(tracker)[1] < 3 * HOUR_S, "a lag of two hours")

    in_an_outage(tracker, outage)
    tracker.wait_until_processed()
    wait_until(lambda: lag(tracker) == (0, 0), "no lag")
