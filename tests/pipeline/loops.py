"""A worker's loops, without servers."""

import threading
from typing import Any, cast

from tracker.messages.decode import Rules
from tracker.metrics import Recorder
from tracker.pipeline.apply import Applier
from tracker.pipeline.apply_loop import ApplyLoop
from tracker.pipeline.context import WorkerContext
from tracker.pipeline.handover import Pipeline
from tracker.pipeline.waits import Waits


class _Store:
    """A job store that takes everything."""

    is_sound = True

    def connect(self) -> bool:
        return False

    def probe(self) -> None:
        pass


def apply_loop(pipeline: Pipeline, applier: object) -> ApplyLoop:
    """Return the loop of a pipeline that applies batches, with an applier of the test's own."""
    rules = Rules((), lambda _: None, 1, 1)
    waits = Waits(threading.Event(), 1.0)
    context = WorkerContext(pipeline, waits, Recorder())
    return ApplyLoop(context, cast(Applier, applier), cast(Any, _Store()), rules)
