"""What a worker's threads share."""

import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.pipeline.loops import apply_loop
from tracker.kafka.errors import OffsetsRefused
from tracker.messages.decode import DecodedBatch
from tracker.messages.refusal import Reason, Refusal
from tracker.pipeline.handover import Pipeline, SharedOffsets
from tracker.pipeline.in_flight import InFlight
from tracker.pipeline.refusals import Refusals


@pytest.fixture
def restless() -> Iterator[None]:
    """Have Python switch between threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_offsets_are_recorded_while_other_threads_advance_them() -> None:
    pipeline = Pipeline()
    noted: dict[tuple[str, int], int] = {}
    loop = apply_loop(pipeline, SimpleNamespace(record_published=noted.update))
    stop, moved = threading.Event(), {"a": 0, "b": 0}

    def advance(topic: str) -> None:
        while not stop.is_set():
            moved[topic] += 1
            number = moved[topic]
            pipeline.published.update({(topic, number): number})
            pipeline.published.remove({(topic, number - 100): number - 100})

    threads = [threading.Thread(target=advance, args=[topic]) for topic in moved]
    for thread in threads:
        thread.start()
    try:
        while min(moved.values()) < 3_000:
            loop._record_published()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    loop._record_published()
    assert noted.items() >= pipeline.published.copy().items()


def test_offsets_that_have_changed_since_are_not_removed() -> None:
    offsets = SharedOffsets()
    offsets.update({("a", 0): 1, ("a", 1): 1})
    offsets.remove({("a", 0): 1, ("a", 1): 0})
    assert offsets.copy() == {("a", 1): 1}
    assert offsets.get(("a", 0)) == 0


def raises(error: Exception) -> Callable[..., None]:
    def call(*_: object) -> None:
        raise error

    return call


def test_a_batch_that_fails_is_ended_once() -> None:
    pipeline = Pipeline()
    loop = apply_loop(pipeline, SimpleNamespace(apply=raises(OffsetsRefused("not ours"))))
    pipeline.in_flight.begin()
    batch = SimpleNamespace(epoch=SimpleNamespace(abandoned=False), ranges={})
    pipeline.to_apply.put((cast(Any, batch), DecodedBatch(0)))
    with pytest.raises(OffsetsRefused):
        loop.run()
    assert pipeline.in_flight.count == 0


def test_a_failure_without_a_batch_ends_none() -> None:
    pipeline = Pipeline()
    pipeline.published.update({("a", 0): 1})
    loop = apply_loop(pipeline, SimpleNamespace(record_published=raises(ValueError("a mistake"))))
    with pytest.raises(ValueError, match="mistake"):
        loop.run()
    assert pipeline.in_flight.count == 0


def test_work_that_is_abandoned_repeatedly_is_no_progress() -> None:
    in_flight = InFlight()
    assert in_flight.stalled_since() is None
    in_flight.begin()
    since = in_flight.stalled_since()
    for _ in range(3):
        in_flight.end()
        in_flight.begin()
    assert in_flight.stalled_since() == since is not None
    in_flight.end(published=True)
    assert in_flight.stalled_since() is None


def test_work_that_another_worker_has_now_is_none() -> None:
    in_flight = InFlight()
    in_flight.begin()
    in_flight.record_idle()
    assert in_flight.stalled_since() is not None
    in_flight.end()
    in_flight.record_idle()
    assert in_flight.stalled_since() is None


WHY = Refusal(Reason.TOO_LARGE, "too large")


def test_refusals_are_forgotten_once_all_of_their_batch_is_published() -> None:
    """The batch may be redelivered in two parts."""
    refusals = Refusals()
    a, b = ("topic", 0), ("topic", 1)
    refusals.add({a: 10, b: 20}, {(a, 9): WHY}, {(1, 2): WHY})
    refusals.remove_published({a: 10, b: 15})
    assert refusals.of_record(a, 9) == refusals.of_release((1, 2)) == WHY
    refusals.remove_published({b: 20})
    assert refusals.of_record(a, 9) is refusals.of_release((1, 2)) is None
    assert len(refusals) == 0


def test_refusals_that_are_never_asked_for_again_do_not_pile_up() -> None:
    refusals = Refusals()
    for number in range(20_000):
        refusals.add({("topic", number): 1}, {}, {(1, number): WHY})
    assert len(refusals) <= 10_000
    assert refusals.of_release((1, 19_999)) == WHY
