"""A scheduler that dies at a point that matters."""

import pytest

from tests.support.deployment import Deployment
from tracker.errors import TrackerError
from tracker.kafka.producer import BatchProducer
from tracker.store.schedule_store import ScheduleStore

PUBLISHES = (BatchProducer, "publish")
DELETES_WHAT_IS_PUBLISHED = (ScheduleStore, "delete_published")


class Died(TrackerError):
    """The scheduler dies."""


def die(*_: object) -> None:
    raise Died


def schedule_until(tracker: Deployment, call: tuple[type, str]) -> None:
    """Run a scheduler that dies where it makes this call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*call, die)
        member = tracker.start_scheduler(wait=False)
        with pytest.raises(Died):
            member.wait()
    tracker.schedulers.clear()
