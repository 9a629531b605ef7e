"""Short lists look at the first jobs before they ask an index: what they find is the same."""

import random
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.support.databases import new_database
from tests.support.jobs import job
from tracker import Client
from tracker.jobs.query import LOOKED_AT, MAX_LOOKED_AT
from tracker.stack import LocalStack
from tracker.store.connect import connect

FILTERS: list[dict[str, Any]] = [
    {"label": "all"},
    {"label": "half=yes"},
    {"label": "tenth"},
    {"label": "rare"},
    {"label": "none"},
    {"prefix": "a"},
    {"label": "all", "matching": "partitionId=in=(small-1,small-2,large)"},
    {"label": "half=yes", "partition_id": "large"},
    {"matching": "labels.tenth=isnull=true;status==Completed"},
    {"matching": "id==*7,labels.rare=isnull=false"},
]


@pytest.fixture(scope="module")
def client(stack: LocalStack, template_database: str) -> Iterator[Client]:
    """A client for 600 jobs, most of one partition ID, created in bursts in an order of their own."""
    with new_database(stack, template=template_database) as (_, url), Client(url) as client:
        client.submit(
            [
                job(
                    f"{'ab'[number % 2]}{number}",
                    partition_id="large" if number < 550 else f"small-{number % 10}",
                    labels={
                        key: "yes"
                        for key, every in (("all", 1), ("half", 2), ("tenth", 10), ("rare", 250))
                        if number % every == 0
                    },
                )
                for number in range(600)
            ]
        )
        seconds = random.Random(7).choices(range(40), k=600)
        with closing(connect(url, autocommit=True)) as connection:
            connection.execute(
                """
                UPDATE job SET status = 5,
                    create_time = to_timestamp(1e9 + (%s::integer[])[1 + job_key %% 600])
                """,
                [[second if second < 30 else 30 for second in seconds]],
            )
        yield client


@pytest.mark.parametrize("sort", ["createTime", "-createTime"])
@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_a_short_list_is_the_beginning_of_the_long_one(
    client: Client, sort: str, filters: dict[str, Any]
) -> None:
    whole = list(map(str, client.list(limit=0, sort=sort, **filters)))
    for limit in (1, 2, 5, 20, 100, MAX_LOOKED_AT // LOOKED_AT[0] + 1):
        assert list(map(str, client.list(limit=limit, sort=sort, **filters))) == whole[:limit]
        page = client.list_page(limit=limit, sort=sort, **filters)
        if page.next is not None:
            rest = client.list(limit=limit, sort=sort, after=page.next, **filters)
            assert list(map(str, rest)) == whole[limit : 2 * limit]
