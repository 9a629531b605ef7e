"""The fixtures of the acceptance tests, with workers that use Kafka's newer group protocol, `consumer`."""

from functools import partial

import pytest

from tests.acceptance.conftest import Deploy, running, tracker  # noqa: F401 - fixtures
from tests.acceptance.conftest import deploy as any_deploy  # noqa: F401 - a fixture
from tests.profile import PROTOCOL_VARIABLE


@pytest.fixture
def deploy(any_deploy: Deploy) -> Deploy:  # noqa: F811 - it is that fixture
    """Make a deployment whose workers use that protocol."""
    return partial(any_deploy, **{PROTOCOL_VARIABLE: "consumer"})
