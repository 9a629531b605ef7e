"""Fixtures of the fault tests: servers that are reached through proxies, and rounds on them."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster, start_cluster
from tests.faults.round import Round
from tests.support.kafka import Kafka

NewRound = Callable[..., Round]


@pytest.fixture(scope="session")
def one_broker() -> Iterator[Cluster]:
    """One broker and PostgreSQL, each reached through a proxy."""
    with start_cluster() as cluster:
        yield cluster


@pytest.fixture
def kafka_topic(one_broker: Cluster) -> Iterator[str]:
    """A topic with one Kafka partition."""
    name = f"proxied-{uuid.uuid4().hex[:10]}"
    Kafka(one_broker.bootstrap_servers).create({name: 1})
    yield name
    one_broker.heal()


@pytest.fixture
def new_round(one_broker: Cluster, tmp_path: Path) -> Iterator[NewRound]:
    """Make a round: `new_round(seed=7, TRACKER_BATCH_SIZE="10")`."""
    made: list[Round] = []

    def make(seed: int = 1, **options: object) -> Round:
        made.append(Round(one_broker, tmp_path, seed, **options))  # type: ignore[arg-type]
        return made[-1]

    try:
        yield make
    finally:
        for each in made:
            each.close()
            one_broker.drop_database(each.deployment.database_url)
