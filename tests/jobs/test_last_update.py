"""Lists by last update are put together from several indexes: they are the same as if all were sorted."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.support.databases import new_database
from tests.support.jobs import job, rows
from tracker import Client
from tracker.stack import LocalStack
from tracker.store.connect import connect

TENANTS = ("p", "q", "r")
FILTERS: list[dict[str, Any]] = [
    {},
    {"partition_id": "p"},
    {"partition_id": "nobody"},
    {"status": "Completed"},
    {"status": ["Completed", "Failed"], "partition_id": "q"},
    {"status": ["Failed", "Waiting"]},
    {"matching": "status!=Completed,id==j1*"},
    {"matching": "partitionId=in=(p,r)"},
    {"matching": "lastUpdateTime>=1000000100000", "status": "Completed"},
    {"label": "even", "partition_id": "r"},
    {"prefix": "j2"},
    {"waiting_for": "p:nobody"},
]


@pytest.fixture(scope="module")
def url(stack: LocalStack, template_database: str) -> Iterator[str]:
    with new_database(stack, template=template_database) as (_, url):
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    """A client for 300 jobs: most have completed, some of these without an end; many were updated at once."""
    with Client(url) as client:
        client.submit(
            [
                job(
                    f"j{number}",
                    *(["nobody"] if number % 7 == 0 else []),
                    partition_id=tenant,
                    labels={"even": ""} if number % 2 else {},
                )
                for number in range(100)
                for tenant in TENANTS
            ]
        )
        with closing(connect(url, autocommit=True)) as connection:
            connection.execute(
                """
                UPDATE job SET status = CASE WHEN job_key / 3 % 3 = 0 THEN job_key % 5 ELSE 5 END,
                    last_update_time = to_timestamp(1e9 + (job_key * 37) % 50 * 10 + 0.000001);
                UPDATE job SET end_time = last_update_time WHERE status = 5 AND job_key % 4 > 0
                """
            )
        yield client


@pytest.fixture(scope="module")
def in_order(client: Client, url: str) -> dict[str, tuple[Any, ...]]:
    """The place of each job in the list of all."""
    with closing(connect(url)) as connection:
        found = rows(
            connection,
            "SELECT partition_id || ':' || job_id, last_update_time, job_key"
            " FROM job JOIN tenant USING (tenant_key)",
        )
    return {name: place for name, *place in found}  # type: ignore[misc]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
@pytest.mark.parametrize("sort", ["lastUpdateTime", "-lastUpdateTime"])
def test_the_list_and_its_pages_are_in_order(
    client: Client, in_order: dict[str, tuple[Any, ...]], sort: str, filters: dict[str, Any]
) -> None:
    selected = map(str, client.list(limit=0, **filters))
    expected = sorted(selected, key=in_order.__getitem__, reverse=sort.startswith("-"))
    assert list(map(str, client.list(limit=0, sort=sort, **filters))) == expected
    assert list(map(str, client.iterate(sort=sort, **filters))) == expected
    for limit in (1, 7, 50, 400):
        found: list[str] = []
        after = None
        while True:
            page = client.list_page(limit=limit, sort=sort, after=after, **filters)
            found += map(str, page.jobs)
            after = page.next
            if after is None:
                break
        assert found == expected


def test_there_is_something_of_each_kind(client: Client, url: str) -> None:
    assert client.count(**FILTERS[2]) == 0
    assert all(client.count(**filters) > 2 for filters in FILTERS if filters != FILTERS[2])
    with closing(connect(url)) as connection:
        [(known, unknown)] = rows(
            connection,
            "SELECT count(end_time), count(*) FILTER (WHERE end_time IS NULL) FROM job WHERE status = 5",
        )
    assert min(known, unknown) > 40
