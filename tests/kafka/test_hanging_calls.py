"""A call of librdkafka that never returns is noticed from another thread."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.environments import loaded
from tracker.kafka import producer as producer_module
from tracker.kafka.producer import BatchProducer
from tracker.metrics import Recorder


@pytest.fixture
def producer() -> BatchProducer:
    return BatchProducer(loaded(), "test", Recorder(), lambda _: None)


def call_and_look(producer: BatchProducer, call: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=producer._retry, args=[call])
    thread.start()
    return thread


def test_a_call_that_does_not_return_is_named(
    producer: BatchProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, released = threading.Event(), threading.Event()

    def commit_transaction() -> None:
        begun.set()
        released.wait(60)

    thread = call_and_look(producer, commit_transaction)
    assert begun.wait(60)
    assert producer.hangs() == "", "it has its time"
    monkeypatch.setattr(producer_module, "_HANGS_AFTER_S", 0.0)
    assert producer.hangs() == "commit_transaction"
    released.set()
    thread.join(60)
    assert producer.hangs() == ""


def test_a_call_that_fails_hangs_no_more(producer: BatchProducer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer_module, "_HANGS_AFTER_S", 0.0)

    def fails() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        producer._retry(fails)
    assert producer.hangs() == ""
