"""One client, shared by many threads."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.jobs import job
from tracker import Client, JobStatus

THREADS = 40


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with Client(database_url) as client:
        yield client


def test_forty_threads_share_a_client(client: Client) -> None:
    """They are ten times as many as its connections."""

    def use(number: int) -> str:
        names = [f"{number}-{each}" for each in range(3)]
        client.submit([job(name) for name in names])
        client.cancel([names[0]])
        client.delete([names[1]])
        client.submit([job("shared")])
        return client.get(names[0]).status

    with ThreadPoolExecutor(THREADS) as threads:
        statuses = list(threads.map(use, range(THREADS)))
    assert statuses == [JobStatus.CANCELLED] * THREADS
    assert client.count() == 2 * THREADS + 1
