"""Fixtures of the tests in which the last release's program and this one work together."""

from pathlib import Path

import pytest

from tests.support.deployment_fixtures import deploy
from tests.upgrading.released_program import ReleasedProgram, released

__all__ = ["deploy", "old_program"]


@pytest.fixture(scope="session")
def old_program(tmp_path_factory: pytest.TempPathFactory) -> ReleasedProgram:
    """The last release's program. Without git's history its tests are skipped."""
    folder: Path = tmp_path_factory.mktemp("released")
    found = released(folder)
    if found is None:
        pytest.skip("git's history does not have the commit that tests/released names")
    return found
