"""A model with one job."""

import pytest

from tests.model.examples import JOB
from tests.support.model.naive import NaiveTracker


@pytest.fixture
def tracker() -> NaiveTracker:
    """A tracker with one job, `acme:job`, that has been sent."""
    tracker = NaiveTracker()
    tracker.create_job(*JOB)
    return tracker
