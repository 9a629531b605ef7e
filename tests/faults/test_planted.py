"""The storm finds each mistake that is planted into the tracker, within a minute."""

import random
from pathlib import Path

import pytest

from tests.faults.planted import BUGS
from tests.faults.site import Site
from tests.faults.storm import play_round

SECONDS = 50


@pytest.mark.soak
@pytest.mark.timeout(400)
@pytest.mark.parametrize("bug", sorted(BUGS))
def test_a_planted_mistake_is_found(one_broker: Site, tmp_path: Path, bug: str) -> None:
    seed = random.SystemRandom().randrange(10**6)
    with pytest.raises(AssertionError) as found:
        play_round(one_broker, tmp_path, seed, limit_s=SECONDS, break_up_s=15.0, bug=bug)
    print(f"{bug}, seed {seed}: {str(found.value)[:2_000]}")
