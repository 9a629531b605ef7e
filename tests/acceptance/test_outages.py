"""PostgreSQL or Kafka away for a while: it waits, keeps its place in the group, and continues."""

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support import invariants
from tests.support.deployment import Deployment, Topics
from tests.support.kafka import wait_until
from tests.support.load import Load
from tests.support.program import Program
from tracker import Client
from tracker.metrics import DATABASE_RETRIES, REBALANCES
from tracker.stack import LocalStack
from tracker.store.connect import connect

pytestmark = pytest.mark.timeout(240)

AWAY = [4, pytest.param(60, marks=pytest.mark.soak)]  # seconds


@pytest.fixture
def tracker(stack_of_its_own: LocalStack) -> Iterator[Deployment]:
    topics = Topics("tracking", "work", "results", "dead-letters")
    stack = stack_of_its_own
    deployment = Deployment(stack.bootstrap_servers, stack.database_url, topics)
    deployment.kafka.create({**dict.fromkeys(topics, 1), topics.tracking: 4})
    try:
        yield deployment
        deployment.stop()
    finally:
        deployment.close()


def reconnect(tracker: Deployment) -> None:
    """Connect the test itself again, after PostgreSQL was away."""
    tracker.database.close()
    tracker.database = connect(tracker.database_url, autocommit=True)
    tracker.client.close()
    tracker.client = Client(tracker.database_url)
    tracker.client.open()


def grown(tracker: Deployment) -> int:
    return sum(tracker.kafka.ends(tracker.topics.results).values())


def postgres_down(stack: LocalStack, how: str) -> None:
    assert stack.postgres is not None
    getattr(stack.postgres, how)()


def postgres_up(stack: LocalStack) -> None:
    assert stack.postgres is not None
    stack.postgres.start()


CHILDREN = {"worker-0", "worker-1", "scheduler"}


def complaints(program: Program) -> Counter[str]:
    """Count librdkafka's lines by process."""
    return Counter(line["process"] for line in list(program.lines) if line.get("logger") == "librdkafka")


def pause(seconds: float) -> None:
    """Let time pass: that of an outage, which nothing else can tell."""
    deadline = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= deadline, "time to pass", seconds + 10)


@pytest.mark.parametrize("away_s", AWAY)
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_postgresql_may_be_away(
    stack_of_its_own: LocalStack, tracker: Deployment, how: str, away_s: float
) -> None:
    load = Load(tracker, jobs=20, messages=40_000)
    load.submit()
    tracker.start(workers=2)
    wait_until(lambda: tracker.count(REBALANCES, kind="assigned") >= 2, "a settled group")
    tracker.wait_until_sent()
    load.send(0, 20_000)
    wait_until(lambda: grown(tracker) > 1_000, "some messages")
    before = tracker.count(REBALANCES, kind="revoked"), tracker.count(REBALANCES, kind="lost")
    postgres_down(stack_of_its_own, how)
    load.send(20_000)
    wait_until(lambda: tracker.count(DATABASE_RETRIES) > 0, "it to be noticed")
    pause(away_s)
    postgres_up(stack_of_its_own)
    tracker.wait_until_processed()
    assert (tracker.count(REBALANCES, kind="revoked"), tracker.count(REBALANCES, kind="lost")) == before
    reconnect(tracker)
    load.check()
    tracker.submit("later")
    tracker.wait_until_sent()
    assert tracker.started().count("acme:later") == 1
    invariants.check_at_rest(tracker)


@pytest.mark.parametrize("away_s", AWAY)
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_kafka_may_be_away(
    stack_of_its_own: LocalStack, tracker: Deployment, how: str, away_s: float
) -> None:
    [broker] = stack_of_its_own.brokers
    load = Load(tracker, jobs=20, messages=40_000)
    load.submit()
    load.send()
    with Program(tracker.variables) as program:
        wait_until(lambda: grown(tracker) > 1_000, "some messages")
        getattr(broker, how)()
        tracker.submit("meanwhile")
        pause(away_s)
        wait_until(lambda: complaints(program).keys() >= CHILDREN, "each child to say that it is away")
        assert max(complaints(program).values()) < 10 * away_s, complaints(program)
        broker.start()
        tracker.wait_until_processed(120)
        tracker.wait_until_sent()
        load.check()
        assert tracker.started().count("acme:meanwhile") == 1
        invariants.check_at_rest(tracker)
        assert program.stop() == 0


@pytest.mark.parametrize("what", ["postgresql", "kafka", "both"])
def test_it_stops_in_time_and_well_while_something_is_away(
    stack_of_its_own: LocalStack, tracker: Deployment, what: str
) -> None:
    load = Load(tracker, jobs=20, messages=40_000)
    load.submit()
    load.send()
    timeout_s = 25
    with Program({**tracker.variables, "TRACKER_SHUTDOWN_TIMEOUT_S": str(timeout_s)}) as program:
        wait_until(lambda: grown(tracker) > 1_000, "some messages")
        if what != "kafka":
            postgres_down(stack_of_its_own, "kill")
        if what != "postgresql":
            stack_of_its_own.brokers[0].kill()
        pause(3)
        status = program.stop()
        assert status == 0, program.text()
        assert "is killed" not in program.text(), program.text()
    if what != "kafka":
        postgres_up(stack_of_its_own)
        reconnect(tracker)
    if what != "postgresql":
        stack_of_its_own.brokers[0].start()
    tracker.start(workers=2)
    tracker.wait_until_processed()
    load.check()
    invariants.check_at_rest(tracker)


def test_it_may_be_started_while_both_are_away(stack_of_its_own: LocalStack, tracker: Deployment) -> None:
    load = Load(tracker, jobs=5, messages=1_000)
    load.submit()
    load.send()
    [broker] = stack_of_its_own.brokers
    broker.stop()
    postgres_down(stack_of_its_own, "stop")
    with Program(tracker.variables) as program:
        program.wait_for("waiting for PostgreSQL")
        postgres_up(stack_of_its_own)
        program.wait_for("waiting for Kafka")
        broker.start()
        tracker.wait_until_processed()
        reconnect(tracker)
        load.check()
        assert program.stop() == 0
