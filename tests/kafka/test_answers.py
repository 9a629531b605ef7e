"""Answers to admin clients."""

from concurrent.futures import Future

import pytest
from confluent_kafka import KafkaError, KafkaException

from tracker.kafka import answers
from tracker.kafka.answers import answer_of


def test_no_answer_in_time_is_like_any_broker_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_SPARE_S", 0.0)
    with pytest.raises(KafkaException) as raised:
        answer_of(Future[int](), 0.01)
    assert raised.value.args[0].code() == KafkaError._TIMED_OUT


def test_an_answer_is_given() -> None:
    future = Future[int]()
    future.set_result(7)
    assert answer_of(future, 0.01) == 7
