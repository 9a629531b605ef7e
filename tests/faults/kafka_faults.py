"""What befalls brokers, and the network between the tracker and its servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from tests.faults.letters import LITTLE_BYTES, USUAL_BYTES
from tests.faults.proxy import TO_CLIENT, TO_SERVER
from tests.faults.registry import fault, needs

if TYPE_CHECKING:
    from tests.faults.weather import Weather


@fault
def no_fault(_weather: Weather) -> Iterator[None]:
    yield


@fault
def a_broker_killed(weather: Weather) -> Iterator[None]:
    broker = weather.random.choice(weather.site.stack.brokers)
    broker.kill()
    yield
    broker.start()


@needs(lambda a_round: len(a_round.site.stack.brokers) > 1)
@fault
def a_destination_without_a_leader(weather: Weather) -> Iterator[None]:
    """Of the topic where tracking ends there is one replica only; all others go on."""
    leader = weather.round.deployment.kafka.leader(weather.round.topics.results)
    broker = weather.site.stack.brokers[leader - 1]
    broker.kill()
    yield
    broker.start()


@fault
def a_dead_letter_topic_that_takes_little(weather: Weather) -> Iterator[None]:
    with suppress(KafkaException):  # another fault has taken the broker away
        weather.round.dead_letters_have(LITTLE_BYTES)
    yield
    with suppress(KafkaException):
        weather.round.dead_letters_have(USUAL_BYTES)


@fault
def the_outcome_of_a_commit_unknown(weather: Weather) -> Iterator[None]:
    choice = weather.random.choice
    weather.site.postgres_proxy.trap(
        "COMMIT", before=choice([True, False]), stay_down=choice([True, False]), skip=choice([0, 1, 5, 20])
    )
    yield


@fault
def the_outcome_of_a_kafka_transaction_unknown(weather: Weather) -> Iterator[None]:
    choice = weather.random.choice
    request = choice(["EndTxn", "EndTxn", "TxnOffsetCommit", "AddOffsetsToTxn", "Produce"])
    choice(weather.site.kafka_proxies).trap(
        request, before=choice([True, False]), stay_down=choice([True, False]), skip=choice([0, 1, 5, 20])
    )
    yield


@fault
def a_slow_network(weather: Weather) -> Iterator[None]:
    weather.some_proxy().delay_s = weather.random.choice([0.005, 0.03, 0.2])
    yield


@fault
def a_silent_network(weather: Weather) -> Iterator[None]:
    weather.some_proxy().block(*weather.random.choice([(TO_SERVER,), (TO_CLIENT,), ()]))
    yield


@fault
def a_cut_network(weather: Weather) -> Iterator[None]:
    proxy = weather.some_proxy()
    proxy.cut(stay_down=weather.random.choice([True, False]))
    yield
