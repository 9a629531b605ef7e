"""What a worker says where nothing moves and no error tells why."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.pipeline.loops import apply_loop
from tracker import obstacles
from tracker.obstacles import Cause, Obstacle, Obstacles
from tracker.pipeline import apply_loop as apply_loop_module
from tracker.pipeline.handover import Pipeline
from tracker.pipeline.worker import Worker


def obstacles_of(pipeline: Pipeline, known: Obstacles, silence: Obstacle | None = None) -> list[str]:
    worker = SimpleNamespace(
        _context=SimpleNamespace(pipeline=pipeline, waits=SimpleNamespace(obstacles=known)),
        _apply_loop=SimpleNamespace(silence=lambda: silence),
    )
    return [str(each) for each in Worker._obstacles(cast(Any, worker))]


def test_stalled_work_is_reported_even_without_a_known_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, known = Pipeline(), Obstacles()
    monkeypatch.setattr(obstacles, "STALLED_S", 0.0)
    assert obstacles_of(pipeline, known) == []
    pipeline.in_flight.begin()
    for _ in range(2):
        [reported] = obstacles_of(pipeline, known)
        assert reported.startswith("waiting without a known reason: no work was finished")
    known.report(Cause.KAFKA, "away")
    assert obstacles_of(pipeline, known) == ["waiting for Kafka: away"]
    known.clear()
    pipeline.in_flight.end(published=True)
    assert obstacles_of(pipeline, known) == []


def test_a_database_that_does_not_answer_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = apply_loop(Pipeline(), SimpleNamespace())
    monkeypatch.setattr(apply_loop_module, "_SILENT_AFTER_S", 0.0)
    assert loop.silence() is None
    with loop._waiting_for_answer():
        silence = loop.silence()
        assert silence is not None
        assert silence.cause is Cause.DATABASE
        assert obstacles_of(Pipeline(), Obstacles(), silence) == [str(silence)]
    assert loop.silence() is None
