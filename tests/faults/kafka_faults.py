"""Faults of brokers, and of the network between the tracker and its servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from tests.faults.dead_letters import DEFAULT_LIMIT_BYTES, SMALL_LIMIT_BYTES
from tests.faults.proxy import TO_CLIENT, TO_SERVER
from tests.faults.registry import fault, needs
from tracker.stack import KafkaBroker

if TYPE_CHECKING:
    from tests.faults.fault_injector import FaultInjector


@fault
def no_fault(_injector: FaultInjector) -> Iterator[None]:
    yield


@fault
def a_broker_killed(injector: FaultInjector) -> Iterator[None]:
    broker = injector.random.choice(injector.cluster.stack.brokers)
    broker.kill()
    yield
    _start(broker)


def _start(broker: KafkaBroker) -> None:
    """Start a broker, unless another fault that had stopped it as well has."""
    if not broker.is_running():
        broker.start()


@needs(lambda a_round: len(a_round.cluster.stack.brokers) > 1)
@fault
def a_destination_without_a_leader(injector: FaultInjector) -> Iterator[None]:
    """Only the topic of the results has a single replica; all others continue."""
    leader = injector.round.deployment.kafka.leader(injector.round.topics.results)
    broker = injector.cluster.stack.brokers[leader - 1]
    broker.kill()
    yield
    _start(broker)


@fault
def a_dead_letter_topic_that_takes_little(injector: FaultInjector) -> Iterator[None]:
    with suppress(KafkaException):  # another fault has stopped the broker
        injector.round.limit_dead_letters(SMALL_LIMIT_BYTES)
    yield
    with suppress(KafkaException):
        injector.round.limit_dead_letters(DEFAULT_LIMIT_BYTES)


@fault
def the_outcome_of_a_commit_unknown(injector: FaultInjector) -> Iterator[None]:
    choice = injector.random.choice
    injector.cluster.postgres_proxy.trap(
        "COMMIT", before=choice([True, False]), stay_down=choice([True, False]), skip=choice([0, 1, 5, 20])
    )
    yield


@fault
def the_outcome_of_a_kafka_transaction_unknown(injector: FaultInjector) -> Iterator[None]:
    choice = injector.random.choice
    request = choice(["EndTxn", "EndTxn", "TxnOffsetCommit", "AddOffsetsToTxn", "Produce"])
    choice(injector.cluster.kafka_proxies).trap(
        request, before=choice([True, False]), stay_down=choice([True, False]), skip=choice([0, 1, 5, 20])
    )
    yield


@fault
def a_slow_network(injector: FaultInjector) -> Iterator[None]:
    injector.random_proxy().delay_s = injector.random.choice([0.005, 0.03, 0.2])
    yield


@fault
def a_silent_network(injector: FaultInjector) -> Iterator[None]:
    injector.random_proxy().block(*injector.random.choice([(TO_SERVER,), (TO_CLIENT,), ()]))
    yield


@fault
def a_cut_network(injector: FaultInjector) -> Iterator[None]:
    proxy = injector.random_proxy()
    proxy.cut(stay_down=injector.random.choice([True, False]))
    yield
