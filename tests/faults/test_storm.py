"""A minute of the storm; `make soak MINUTES=60` plays it for an hour."""

import random
from pathlib import Path

import pytest

from tests.faults.site import Site
from tests.faults.storm import play_round

SECONDS = 45  # and then what is left of its jobs


@pytest.mark.timeout(300)
def test_nothing_is_lost_and_nothing_happens_twice(one_broker: Site, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"replay this storm with: python -m tests.faults.storm --seed {seed} --seconds {SECONDS}")
    summary = play_round(one_broker, tmp_path, seed, limit_s=SECONDS)
    assert summary.messages > 0
