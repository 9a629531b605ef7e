"""The fixtures of the acceptance and client tests, on tables that are spread over four hash partitions."""

from collections.abc import Iterator

import pytest

from tests.support.client_fixtures import client, connection
from tests.support.databases import new_database, spread_over_hash_partitions
from tests.support.deployment_fixtures import deploy, running, tracker
from tests.support.redelivery import failing_publish, redeliver
from tracker.stack import LocalStack
from tracker.store.migrate import migrate

__all__ = ["client", "connection", "deploy", "failing_publish", "redeliver", "running", "tracker"]

NUMBER = 4


@pytest.fixture(scope="session")
def template_database(stack: LocalStack) -> Iterator[str]:
    """The name of a database to be copied, whose tables are spread."""
    with new_database(stack, template="template0") as (name, url):
        migrate(url)
        spread_over_hash_partitions(url, NUMBER)
        yield name
