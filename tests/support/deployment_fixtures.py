"""Fixtures that make a deployment; a folder whose tests need one imports them in its `conftest.py`."""

import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.support import invariants
from tests.support.deployment import Deployment, Topics
from tests.support.kafka import Kafka

Deploy = Callable[..., Deployment]


@pytest.fixture
def deploy(bootstrap_servers: str, database_url: str) -> Iterator[Deploy]:
    """Make a deployment: `deploy(partitions=2, TRACKER_PROPAGATE_FAILURES="true")`. Nothing runs yet.

    At the end of the test its processes must stop well, and its database must not contradict itself.
    """
    made: list[Deployment] = []
    cluster = Kafka(bootstrap_servers)

    def make(*, partitions: int = 2, **variables: str) -> Deployment:
        suffix = uuid.uuid4().hex[:12]
        topics = Topics(*(f"{name}-{suffix}" for name in ("tracking", "work", "results", "dead-letters")))
        cluster.create(
            {topics.tracking: partitions, topics.work: 1, topics.results: 1, topics.dead_letters: 1}
        )
        deployment = Deployment(bootstrap_servers, database_url, topics, **variables)
        made.append(deployment)
        return deployment

    try:
        yield make
        for deployment in made:
            deployment.stop()
            invariants.check(deployment)
    finally:
        for deployment in made:
            deployment.close()


@pytest.fixture
def tracker(deploy: Deploy) -> Deployment:
    """A deployment with the default settings, and nothing running yet."""
    return deploy()


@pytest.fixture
def running(tracker: Deployment) -> Deployment:
    """A deployment with a worker running, no scheduler, and a job `acme:job`."""
    tracker.submit("job")
    tracker.start(scheduler=False)
    return tracker
