"""Servers that are away, or of which one of three is: what `/readyz`, the log and the metrics say of it."""

import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import NewTopic

from tests.support.deployment import Deployment, Topics
from tests.support.endpoint import Endpoint
from tests.support.kafka import DEADLINE_S, wait_until
from tests.support.program import Program
from tracker.kafka.watch import coordinator_partition
from tracker.stack import LocalStack
from tracker.stack.server import clean_environment
from tracker.store.migrate import migrate

pytestmark = pytest.mark.timeout(300)

SETTINGS = {"TRACKER_WORKERS": "1", "TRACKER_HTTP_PORT": "0"}


@pytest.fixture
def tracker(stack_of_its_own: LocalStack) -> Iterator[Deployment]:
    topics = Topics("tracking", "work", "results", "dead-letters")
    stack = stack_of_its_own
    deployment = Deployment(stack.bootstrap_servers, stack.database_url, topics, **SETTINGS)
    deployment.kafka.create(dict.fromkeys(topics, 1))
    try:
        yield deployment
    finally:
        deployment.close()


def test_an_idle_tracker_says_that_postgresql_is_away(
    stack_of_its_own: LocalStack, tracker: Deployment
) -> None:
    postgres = stack_of_its_own.postgres
    assert postgres is not None
    with Program(tracker.variables) as program:
        endpoint = Endpoint(program)
        endpoint.wait_until_ready()
        postgres.stop()
        answer = endpoint.wait_for(503, "waiting for PostgreSQL: ", "onnection")
        assert endpoint.waits_for("database")
        endpoint.wait_for_log(answer.complaint)
        postgres.start()
        endpoint.wait_until_ready()
        assert program.stop() == 0


def test_an_idle_tracker_says_that_kafka_is_away(stack_of_its_own: LocalStack, tracker: Deployment) -> None:
    [broker] = stack_of_its_own.brokers
    with Program(tracker.variables) as program:
        endpoint = Endpoint(program)
        endpoint.wait_until_ready()
        broker.stop()
        answer = endpoint.wait_for(503, "waiting for Kafka: ", "no broker answers")
        assert endpoint.waits_for("kafka")
        endpoint.wait_for_log(answer.complaint)
        broker.start()
        endpoint.wait_until_ready()
        assert program.stop() == 0


def test_a_missing_topic_of_its_own_is_reported(stack_of_its_own: LocalStack, tracker: Deployment) -> None:
    """The dead-letter topic is not needed by every batch."""
    with Program(tracker.variables) as program:
        endpoint = Endpoint(program)
        endpoint.wait_until_ready()
        tracker.kafka.admin.delete_topics(["dead-letters"])["dead-letters"].result(timeout=DEADLINE_S)
        endpoint.wait_for(200, "waiting for topics: topic 'dead-letters' does not exist")
        assert endpoint.waits_for("topics")
        tracker.kafka.create({"dead-letters": 1})
        endpoint.wait_until_ready()


@pytest.fixture
def three_brokers() -> Iterator[LocalStack]:
    with LocalStack(brokers=3, kafka_heap="256m") as stack:
        migrate(stack.database_url)
        yield stack


@pytest.fixture
def cluster(three_brokers: LocalStack) -> Iterator[Deployment]:
    """A deployment, all of whose topics have three replicas but `sick`, which has one."""
    topics = Topics("tracking", "work", "results", "dead-letters")
    stack = three_brokers
    deployment = Deployment(stack.bootstrap_servers, stack.database_url, topics, **SETTINGS)
    deployment.kafka.create({**dict.fromkeys(topics, 1), "tracking": 2})
    sick = NewTopic("sick", num_partitions=1, replication_factor=1, config={"min.insync.replicas": "1"})
    deployment.kafka.admin.create_topics([sick])["sick"].result(timeout=DEADLINE_S)
    try:
        yield deployment
    finally:
        deployment.close()


@pytest.fixture
def single_coordinators() -> Iterator[LocalStack]:
    """Three brokers, where what coordinates a group or a transactional ID has one replica."""
    settings = {
        f"{topic}.{name}": "1"
        for topic, name in (
            ("offsets.topic", "replication.factor"),
            ("transaction.state.log", "replication.factor"),
            ("transaction.state.log", "min.isr"),
        )
    }
    with LocalStack(brokers=3, kafka_heap="256m", kafka_settings=settings) as stack:
        migrate(stack.database_url)
        yield stack


def test_a_coordinator_that_is_away_is_reported(single_coordinators: LocalStack) -> None:
    stack = single_coordinators
    topics = Topics("tracking", "work", "results", "dead-letters")
    tracker = Deployment(stack.bootstrap_servers, stack.database_url, topics, **SETTINGS)
    tracker.kafka.create(dict.fromkeys(topics, 1))
    try:
        with Program(tracker.variables) as program:
            endpoint = Endpoint(program)
            endpoint.wait_until_ready()
            internal = tracker.kafka.admin.list_topics(timeout=DEADLINE_S).topics["__consumer_offsets"]
            number = coordinator_partition(tracker.group_id, len(internal.partitions))
            broker = stack.brokers[internal.partitions[number].leader - 1]
            broker.kill()
            endpoint.wait_for(503, f"Kafka partition {number} of __consumer_offsets, which coordinates")
            broker.start()
            endpoint.wait_until_ready()
            assert program.stop() == 0
    finally:
        tracker.close()


def test_each_broker_of_three_may_be_away(three_brokers: LocalStack, cluster: Deployment) -> None:
    """Also the one that the tracker asks about destinations, for longer than anything is tried again."""
    tracker = cluster
    tracker.submit("job")
    with Program(tracker.variables) as program:
        for number, broker in enumerate(three_brokers.brokers, start=1):
            new = f"new-{number}"
            tracker.kafka.create({new: 1})
            broker.kill()
            tracker.send(tracker.message(f"acme:job.{number}", to=new))
            wait_until(partial(_has_one, tracker, new), "the message", 120)
            broker.start()
        assert program.stop() == 0


def checked(tracker: Deployment) -> str:
    """Return what `tracker config --check` says, where messages may be sent to `sick` and `results`."""
    variables = {**tracker.variables, "TRACKER_DESTINATIONS": "sic*,results"}
    command = [sys.executable, "-m", "tracker", "config", "--check"]
    done = subprocess.run(
        command, env=clean_environment(**variables), capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def _has_one(tracker: Deployment, topic: str) -> bool:
    try:
        return len(tracker.kafka.read(topic)) == 1
    except KafkaException:  # its leader is just moving
        return False


def leader_of(tracker: Deployment, topic: str) -> int:
    found: list[int] = []

    def known() -> bool:
        partitions = tracker.kafka.admin.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions
        found[:] = [each.leader for each in partitions.values()]
        return len(found) == 1 and found[0] > 0

    wait_until(known, "a leader")
    return found[0]


def is_logged(endpoint: Endpoint) -> bool:
    """Return whether the log has a destination that `/readyz` names; it may name others too."""
    complaint = endpoint.readiness().complaint
    lines = list(endpoint.program.lines)
    return any(line["reason"] in complaint for line in lines if line["event"] == "waiting for a destination")


def test_a_destination_without_a_leader_is_named(three_brokers: LocalStack, cluster: Deployment) -> None:
    tracker = cluster
    tracker.submit("job")
    with Program(tracker.variables) as program:
        endpoint = Endpoint(program)
        endpoint.wait_until_ready()
        tracker.process(tracker.message("acme:job.1", to="sick", track_to="sick"))
        broker = three_brokers.brokers[leader_of(tracker, "sick") - 1]
        assert "Warning: topic sick has one replica" in checked(tracker)
        broker.kill()
        # Idle: one destination is away, and others can be sent to.
        named = "waiting for a destination: Kafka partition 0 of topic 'sick' takes no messages"
        endpoint.wait_for(200, named)
        assert "Warning: Kafka partitions of topic sick have no leader" in checked(tracker)
        assert endpoint.metric("tracker_stuck_destination_kafka_partitions") == 1
        # All that can be read is in batches that wait for it.
        for number in range(2, 10):
            tracker.send(tracker.message(f"acme:job.{number}", to="sick"), kafka_partition=number % 2)
        endpoint.wait_for(503, named)
        assert endpoint.waits_for("destination")
        wait_until(lambda: is_logged(endpoint), "the log to say so")
        broker.start()
        tracker.wait_until_processed(120)
        endpoint.wait_until_ready()
        assert endpoint.metric("tracker_stuck_destination_kafka_partitions") == 0
        assert len(tracker.kafka.read("sick")) == 9
        assert program.stop() == 0


def test_a_destination_is_named_before_the_brokers_know(
    three_brokers: LocalStack, cluster: Deployment
) -> None:
    """The brokers think for a while that a leader is there which has gone: here for 4 s, by default for 9."""
    tracker = cluster
    tracker.submit("job")
    with Program(tracker.variables) as program:
        endpoint = Endpoint(program)
        endpoint.wait_until_ready()
        broker = three_brokers.brokers[leader_of(tracker, "sick") - 1]
        tracker.process(tracker.message("acme:job.1", to="sick", track_to="sick"))
        broker.kill()
        tracker.send(tracker.message("acme:job.2", to="sick"), tracker.message("acme:job.3"))
        program.wait_for_text("waiting for a destination.*Kafka partition 0 of topic 'sick'")
        abandoned = [line for line in list(program.lines) if line["event"].startswith("batch abandoned")]
        assert abandoned == []
        broker.start()
        tracker.wait_until_processed(120)
        assert program.stop() == 0
