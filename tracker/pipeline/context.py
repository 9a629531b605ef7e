"""What the parts of one worker share."""

from dataclasses import dataclass

from tracker.metrics import Recorder
from tracker.pipeline.handover import Pipeline
from tracker.pipeline.waits import Waits


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """Passed to each of a worker's threads: the batches between them, how to wait, and what is counted."""

    pipeline: Pipeline
    waits: Waits
    recorder: Recorder
