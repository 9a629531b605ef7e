"""Brokers that allow less than the tracker asks for by default: it gives way; what users set it does not."""

import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.deployment import Deployment, Topics
from tests.support.endpoint import Endpoint
from tests.support.kafka import wait_until
from tests.support.profile import GROUP_PROTOCOL
from tests.support.program import Program
from tracker.diagnosis.limits import problems_of_limits, warnings_of_limits
from tracker.kafka.broker_limits import BrokerLimits, broker_limits, shorter_transactions
from tracker.kafka.producer import BatchProducer
from tracker.kafka.properties import consumer_properties
from tracker.metrics import Recorder
from tracker.settings import load
from tracker.stack import LocalStack

LIMITS = {
    "transaction.max.timeout.ms": "10000",
    "group.min.session.timeout.ms": "1000",
    "group.max.session.timeout.ms": "9000",
    "group.max.size": "1",
    "group.consumer.max.size": "1",
    "offsets.retention.minutes": "60",
}
TRANSACTIONS = "TRACKER_KAFKA_PRODUCER_TRANSACTION_TIMEOUT_MS"
NUMBERS = count(1)

only_classic = pytest.mark.skipif(GROUP_PROTOCOL == "consumer", reason="its sessions are the brokers' affair")


@pytest.fixture(scope="module")
def strict(stack: LocalStack) -> Iterator[LocalStack]:
    """A broker that allows little."""
    with LocalStack(kafka_heap="256m", kafka_settings=LIMITS, database_url=stack.database_url) as strict:
        yield strict


@pytest.fixture
def tracker(strict: LocalStack, database_url: str) -> Iterator[Deployment]:
    """A deployment there; its variables may be changed before it runs."""
    number = next(NUMBERS)
    topics = Topics(*(f"{name}-{number}" for name in ("tracking", "work", "results", "dead-letters")))
    deployment = Deployment(
        strict.bootstrap_servers, database_url, topics, TRACKER_WORKERS="1", TRACKER_HTTP_PORT="0"
    )
    deployment.kafka.create(dict.fromkeys(topics, 2))
    try:
        yield deployment
    finally:
        deployment.close()


def lines_of(program: Program, words: str) -> list[dict[str, Any]]:
    return [line for line in list(program.lines) if words in line["event"]]


def test_defaults_of_the_trackers_give_way_and_the_log_says_so(tracker: Deployment) -> None:
    tracker.submit("job")
    with Program(tracker.variables) as program:
        Endpoint(program).wait_until_ready()
        tracker.programs = 1
        tracker.send(tracker.message("acme:job.1*"))
        tracker.wait_until_processed()
        tracker.wait_until_sent()
        assert program.stop() == 0
    assert tracker.status("job") == "Completed"
    shorter = lines_of(program, "transaction.max.timeout.ms")
    assert {(line["process"], line["timeout_ms"]) for line in shorter} == {
        ("worker-0", 10_000),
        ("scheduler", 10_000),
    }
    sessions = lines_of(program, "the brokers allow sessions of 1000 to 9000 ms")
    assert len(sessions) == (GROUP_PROTOCOL != "consumer")
    assert "unexpected error" not in program.text()


def test_where_brokers_may_not_be_asked_shorter_transactions_are_tried(tracker: Deployment) -> None:
    producer = BatchProducer(tracker.settings, tracker.group_id, Recorder(), lambda _: None)
    producer.start()
    assert producer._properties["transaction.timeout.ms"] == "7500"
    producer.close()


def test_what_the_user_has_set_is_kept_and_the_refusal_names_the_variable(tracker: Deployment) -> None:
    tracker.variables[TRANSACTIONS] = "20000"
    with Program(tracker.variables) as program:
        reason = "allow transactions of 10000 ms (transaction.max.timeout.ms)"
        said = f"{re.escape(reason)}.*set {TRANSACTIONS} to 10000"
        for process in ("worker-0", "scheduler"):
            program.wait_for_text(f'"{process}", "event": "waiting for Kafka".*{said}')
        endpoint = Endpoint(program)
        wait_until(lambda: reason in endpoint.readiness().missing.get("scheduler", ""), reason)
        assert program.stop() == 0
    assert not lines_of(program, "shorter ones are used")


@only_classic
@pytest.mark.parametrize("side", ["", "CONSUMER_"])
def test_a_session_that_the_user_has_set_is_kept_and_the_refusal_names_the_variable(
    tracker: Deployment, side: str
) -> None:
    variable = f"TRACKER_KAFKA_{side}SESSION_TIMEOUT_MS"
    tracker.variables[variable] = "15000"
    with Program(tracker.variables) as program:
        answer = Endpoint(program).wait_for(503, f"set {variable} to 9000")
        assert "group.max.session.timeout.ms" in answer.complaint
        assert program.stop() == 0


def test_a_worker_that_the_group_has_no_room_for_says_so(tracker: Deployment) -> None:
    tracker.variables["TRACKER_WORKERS"] = "2"
    with Program(tracker.variables) as program:
        program.wait_for_text(
            r"as many members as the brokers allow \(group[a-z.]*max.size\): set TRACKER_WORKERS"
        )
        program.stop()


def test_an_interval_between_polls_that_fits_a_workers_session_fits_all(tracker: Deployment) -> None:
    tracker.variables["TRACKER_KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS"] = "30000"
    with Program(tracker.variables) as program:
        Endpoint(program).wait_until_ready()
        assert program.stop() == 0
    assert "unexpected error" not in program.text()


@only_classic
def test_properties_that_exclude_each_other_are_a_sentence(tracker: Deployment) -> None:
    tracker.variables["TRACKER_KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS"] = "4000"
    with Program(tracker.variables) as program:
        program.wait_for_text("the consumer: the Kafka client fails: .*max.poll.interval.ms")
        program.stop()
    assert "unexpected error" not in program.text()


def test_the_commands_check_names_them_too(tracker: Deployment, strict: LocalStack) -> None:
    admin = AdminClient({"bootstrap.servers": strict.bootstrap_servers})
    tracker.variables["TRACKER_WORKERS"] = "2"
    size, kept = problems_of_limits(tracker.settings, admin, admin.list_topics(timeout=10))
    assert "max.size): set TRACKER_WORKERS" in size
    assert "for 60 minutes (offsets.retention.minutes)" in kept
    warnings = list(warnings_of_limits(tracker.settings, admin, admin.list_topics(timeout=10)))
    assert "asks for that instead of its default of 30000" in warnings[0]
    assert all("asks for 9000 ms instead of its default of 20000" in each for each in warnings[1:])


def test_the_limits_are_asked_for(strict: LocalStack) -> None:
    admin = AdminClient({"bootstrap.servers": strict.bootstrap_servers})
    assert broker_limits(admin) == BrokerLimits(10_000, 1_000, 9_000)


@pytest.mark.parametrize(
    ("limits", "session", "heartbeat"),
    [
        (BrokerLimits(), "20000", "1000"),
        (BrokerLimits(most_session_ms=2_000), "2000", "666"),
        (BrokerLimits(least_session_ms=30_000), "30000", "1000"),
    ],
)
def test_heartbeats_stay_below_a_third_of_the_session(
    limits: BrokerLimits, session: str, heartbeat: str
) -> None:
    settings = load({"TRACKER_KAFKA_BOOTSTRAP_SERVERS": "b", "TRACKER_DATABASE_URL": "postgresql://db/x"})
    properties = consumer_properties(settings, 0, limits)
    assert (properties["session.timeout.ms"], properties["heartbeat.interval.ms"]) == (session, heartbeat)


def test_a_session_longer_than_librdkafka_waits_between_polls_is_accepted(strict: LocalStack) -> None:
    settings = load(
        {
            "TRACKER_KAFKA_BOOTSTRAP_SERVERS": strict.bootstrap_servers,
            "TRACKER_DATABASE_URL": "postgresql://db/x",
        }
    )
    Consumer(dict(consumer_properties(settings, 0, BrokerLimits(least_session_ms=400_000)))).close()


def test_no_time_out_is_tried_below_the_shortest() -> None:
    settings = load({"TRACKER_KAFKA_BOOTSTRAP_SERVERS": "b", "TRACKER_DATABASE_URL": "postgresql://db/x"})
    assert shorter_transactions(settings, 1_500, BrokerLimits()) == 1_000
    with pytest.raises(KafkaException, match=TRANSACTIONS):
        shorter_transactions(settings, 1_000, BrokerLimits())
