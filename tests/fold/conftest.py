"""The implementations that the rules are tested on."""

import pytest

from tests.fold.trackers import JOB, FoldTracker, ModelTracker, Tracker


@pytest.fixture(params=[FoldTracker, ModelTracker], ids=["fold", "model"])
def tracker(request: pytest.FixtureRequest) -> Tracker:
    """A tracker with one job, `acme:job`, that has been sent."""
    tracker: Tracker = request.param()
    tracker.create(JOB)
    return tracker
