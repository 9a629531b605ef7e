"""The fixtures of the acceptance tests, with workers that use Kafka's newer group protocol, `consumer`."""

from functools import partial

import pytest

from tests.support.deployment_fixtures import Deploy, running, tracker
from tests.support.deployment_fixtures import deploy as any_deploy
from tests.support.profile import PROTOCOL_VARIABLE
from tests.support.redelivery import failing_publish, redeliver

__all__ = ["any_deploy", "deploy", "failing_publish", "redeliver", "running", "tracker"]


@pytest.fixture
def deploy(any_deploy: Deploy) -> Deploy:
    """Make a deployment whose workers use that protocol."""
    return partial(any_deploy, **{PROTOCOL_VARIABLE: "consumer"})
