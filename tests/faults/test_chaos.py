"""A chaos run of a minute; `make soak MINUTES=60` runs it for an hour."""

import random
from pathlib import Path

import pytest

from tests.faults.chaos import play_round
from tests.faults.cluster import Cluster

SECONDS = 45  # then it heals, and finishes its jobs


@pytest.mark.timeout(300)
def test_nothing_is_lost_and_nothing_happens_twice(one_broker: Cluster, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"replay this chaos run with: python -m tests.faults.chaos --seed {seed} --seconds {SECONDS}")
    summary = play_round(one_broker, tmp_path, seed, limit_s=SECONDS)
    assert summary.messages > 0
