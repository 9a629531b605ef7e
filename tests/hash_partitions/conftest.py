"""The fixtures of the acceptance and client tests, on tables that are spread over four hash partitions."""

from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import deploy, running, tracker  # noqa: F401 - fixtures
from tests.conftest import new_database, spread_over_hash_partitions
from tests.jobs.conftest import client, connection  # noqa: F401 - fixtures
from tracker.stack import LocalStack
from tracker.store.migrate import migrate

NUMBER = 4


@pytest.fixture(scope="session")
def template_database(stack: LocalStack) -> Iterator[str]:
    """The name of a database to be copied, whose tables are spread."""
    with new_database(stack, template="template0") as (name, url):
        migrate(url)
        spread_over_hash_partitions(url, NUMBER)
        yield name
