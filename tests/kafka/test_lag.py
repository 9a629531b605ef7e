"""How far a Kafka partition is behind, from what is committed."""

from typing import Any

import pytest
from confluent_kafka import Message

from tracker.kafka.lag import Lag

KEY = "tracking", 0
NOW = 1_000_000.0  # seconds since 1970


def record(offset: int, age_s: float, *, topic: str = "tracking", kafka_partition: int = 0) -> Any:
    written_ms = int((NOW - age_s) * 1000)
    return Message(topic=topic, partition=kafka_partition, offset=offset, timestamp=(1, written_ms))


@pytest.fixture
def lag() -> Lag:
    """One of a Kafka partition that is read from offset 10 on."""
    made = Lag()
    made.start(KEY, 10)
    return made


def test_at_rest_it_is_0(lag: Lag) -> None:
    assert lag.measure(KEY, 0, 10, NOW) == (0, 0)
    assert lag.measure(KEY, 25, 25, NOW) == (0, 0)
    assert lag.measure(KEY, 25, 20, NOW) == (0, 0)  # what is known of the end is older


def test_what_was_polled_counts_until_it_is_committed(lag: Lag) -> None:
    lag.sample([record(10, 7), record(11, 5)], [KEY], NOW)
    assert lag.measure(KEY, 0, 12, NOW) == (2, 7)
    assert lag.measure(KEY, 0, 12, NOW + 100) == (2, 107)
    assert lag.measure(KEY, 12, 12, NOW + 101) == (0, 0)


def test_the_oldest_record_that_is_not_committed_counts(lag: Lag) -> None:
    lag.sample([record(10, 7)], [KEY], NOW)
    lag.sample([record(20, 5)], [KEY], NOW)
    assert lag.measure(KEY, 0, 30, NOW) == (20, 7)
    assert lag.measure(KEY, 15, 30, NOW) == (15, 5)


def test_while_none_is_known_it_is_as_old_as_the_last_was_when_it_was_polled(lag: Lag) -> None:
    lag.sample([record(10, 3_600)], [KEY], NOW)
    assert lag.measure(KEY, 11, 5_000, NOW + 1) == (4_989, 3_600)


def test_what_was_not_polled_counts_from_when_it_was_seen(lag: Lag) -> None:
    """While all waits for the database, nothing more is polled."""
    assert lag.measure(KEY, 0, 12, NOW) == (2, 0)
    assert lag.measure(KEY, 0, 15, NOW + 60) == (5, 60)
    assert lag.measure(KEY, 15, 16, NOW + 61) == (1, 0)


def test_where_reading_begins_again_what_was_polled_is_forgotten(lag: Lag) -> None:
    lag.sample([record(10, 7)], [KEY], NOW)
    lag.start(KEY, 10)
    assert lag.measure(KEY, 0, 11, NOW) == (1, 0)


def test_a_record_may_have_no_timestamp_or_one_that_is_yet_to_come(lag: Lag) -> None:
    lag.sample([Message(topic="tracking", partition=0, offset=10, timestamp=(0, -1))], [KEY], NOW)
    assert lag.measure(KEY, 0, 11, NOW + 2) == (1, 2)
    lag.start(KEY, 10)
    lag.sample([record(10, -500)], [KEY], NOW)
    assert lag.measure(KEY, 0, 11, NOW + 2) == (1, 0)


def test_of_a_batch_each_kafka_partition_has_its_first(lag: Lag) -> None:
    other, gone = ("tracking", 1), ("tracking", 2)
    lag.start(other, 0)
    records = [record(10, 7), record(0, 9, kafka_partition=1), record(5, 1, kafka_partition=2), record(11, 3)]
    lag.sample(records, [KEY, other, gone], NOW)
    assert lag.measure(KEY, 0, 12, NOW) == (2, 7)
    assert lag.measure(other, 0, 1, NOW) == (1, 9)


def test_one_batch_is_looked_at_for_each_measurement(lag: Lag) -> None:
    wanted = [lag.wants_sample]
    lag.sample([record(10, 7)], [KEY], NOW)
    wanted.append(lag.wants_sample)
    lag.measure(KEY, 0, 11, NOW)
    assert [*wanted, lag.wants_sample] == [True, False, True]
