"""A minute of the storm; `make soak MINUTES=60` plays it for an hour."""

import random
from pathlib import Path

import pytest

from tests.faults.site import Site
from tests.faults.storm import play_round

pytestmark = pytest.mark.soak

SECONDS = 40


@pytest.mark.timeout(300)
def test_nothing_is_lost_and_nothing_happens_twice(
    one_broker: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    with capsys.disabled():
        print(f"\nstorm, seed {seed}: replay it with python -m tests.faults.storm --seed {seed}")
    summary = play_round(one_broker, tmp_path, seed, limit_s=SECONDS)
    assert summary.messages > 0
