"""The mixed load knows what it has sent, and notices wrong results."""

import base64
import json
from collections import Counter
from collections.abc import Callable
from typing import cast

import pytest
from confluent_kafka import Message

from bench.errors import WrongResult
from bench.flow import Sender
from bench.mixture import (
    DEPENDENT,
    FAILING,
    PLAIN,
    REPORTED,
    TASKS,
    InFlight,
    Mixture,
    Wave,
    WaveMessageFactory,
)
from bench.workload import ProducerRecord, Topics
from tracker.jobs.validation import accept
from tracker.messages.decode import Rules, decode_batch

TOPICS = Topics.of("bench")


class Record:
    def __init__(self, key: bytes, value: bytes) -> None:
        self._key, self._value = key, value

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes:
        return self._value

    def topic(self) -> str:
        return TOPICS.tracking

    def headers(self) -> None:
        return None


def records(*pairs: tuple[bytes, bytes]) -> list[Message]:
    return cast(list[Message], [Record(key, value) for key, value in pairs])


class Sent:
    """Stands for the sender."""

    def __init__(self) -> None:
        self.messages: list[ProducerRecord] = []

    def send(self, message: ProducerRecord) -> None:
        self.messages.append(message)


@pytest.fixture
def mixture() -> Mixture:
    return Mixture(TOPICS, "", seed=1)


@pytest.fixture
def wave(mixture: Mixture) -> Wave:
    """A wave that is ready to be sent."""
    wave = Wave(1, WaveMessageFactory(TOPICS, seed=1))
    mixture._by_key.update(dict.fromkeys(wave.keys, wave))
    mixture._ready.append(wave)
    return wave


def send_all(mixture: Mixture) -> list[ProducerRecord]:
    sent = Sent()
    while mixture.send_next(cast(Sender, sent), due=1.0):
        pass
    return sent.messages


def test_a_wave_says_how_many_messages_arrive(mixture: Mixture, wave: Wave) -> None:
    messages = send_all(mixture)

    events = REPORTED * TASKS // 100
    assert len(messages) == wave.remaining - DEPENDENT + events
    assert len(mixture.in_flight) == wave.remaining - DEPENDENT


def test_the_tracker_accepts_all_messages_of_a_wave(mixture: Mixture, wave: Wave) -> None:
    sent = [cast(Message, Record(message.key, message.value)) for message in send_all(mixture)]

    batch = decode_batch(sent, Rules([TOPICS.tracking], lambda _: None, 1_000_000, 10_000), now_ms=0)

    assert batch.refused == []
    assert batch.events == REPORTED * TASKS // 100
    completed = Counter[str]()
    for name, work in batch.jobs.items():
        assert len(work.reports) <= 1
        completed[name.job_id] += sum(len(siblings.completed) for siblings in work.siblings)
        completed[name.job_id] += work.count_event_reports() + len(work.reports)
    assert completed == dict.fromkeys(wave.job_ids[: PLAIN + REPORTED + FAILING], TASKS)
    assert accept(wave.jobs(), str)


def test_events_are_not_expected_to_arrive(mixture: Mixture, wave: Wave) -> None:
    for message in send_all(mixture):
        envelope = json.loads(message.value)
        if envelope["taskClassifier"] == "TrackingReportTask":
            assert len(json.loads(base64.b64decode(envelope["taskData"]))["trackingReports"]) == 100
    arriving = [json.loads(expected.value) for expected in mixture.in_flight.values()]
    assert {message["taskClassifier"] for message in arriving} == {"DocumentWorker"}


def test_a_message_that_arrives_as_it_must_is_timed_and_removed(mixture: Mixture, wave: Wave) -> None:
    send_all(mixture)
    left = wave.remaining

    expected = mixture.in_flight[5]
    mixture.on_arrivals(1.5, records((expected.key, expected.value)))

    assert mixture.latencies == [0.5]
    assert wave.remaining == left - 1
    assert 5 not in mixture.in_flight


@pytest.mark.parametrize(
    "wrong",
    [
        lambda first: (first.key, first.value.replace(b'"tracking":', b'"tracking" :')),
        lambda first: (b"other", first.value),
    ],
)
def test_a_message_that_arrives_changed_is_noticed(
    wrong: Callable[[InFlight], tuple[bytes, bytes]], mixture: Mixture, wave: Wave
) -> None:
    send_all(mixture)

    with pytest.raises(WrongResult, match="is not as it must be"):
        mixture.on_arrivals(1.5, records(wrong(mixture.in_flight[1])))


def test_a_message_that_arrives_twice_is_noticed(mixture: Mixture, wave: Wave) -> None:
    send_all(mixture)
    expected = mixture.in_flight[1]
    mixture.on_arrivals(1.5, records((expected.key, expected.value)))

    with pytest.raises(WrongResult, match="has arrived twice"):
        mixture.on_arrivals(1.6, records((expected.key, expected.value)))


def test_a_released_job_is_completed_next_and_a_second_start_is_noticed(mixture: Mixture, wave: Wave) -> None:
    send_all(mixture)
    released = wave.keys[-1]

    mixture.on_starts(1.0, records((released, b"")))
    (completing,) = send_all(mixture)

    assert completing.key == released
    assert json.loads(completing.value)["tracking"]["jobTaskId"] == f"{released.decode()}.1*"
    with pytest.raises(WrongResult, match="was started twice, or is unknown"):
        mixture.on_starts(2.0, records((released, b"")))
