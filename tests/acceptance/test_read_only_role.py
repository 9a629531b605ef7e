"""A role that may only read for a while, as operators make it: what writes waits, and then continues."""

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import wait_until
from tracker import AsyncClient, Client
from tracker.errors import DatabaseUnavailable
from tracker.metrics import DATABASE_RETRIES


class Role:
    """The tracker's role, and what an operator does to it."""

    def __init__(self, tracker: Deployment, name: str) -> None:
        self._tracker, self._name = tracker, name

    def may_only_read(self) -> None:
        """Have its next sessions only read, and end those that there are."""
        self._alter("ALTER ROLE {} SET default_transaction_read_only = on")
        self._tracker.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", self._name
        )

    def may_write(self) -> None:
        """Have its next sessions write. Those that there are stay as they are, as long as they last."""
        self._alter("ALTER ROLE {} RESET default_transaction_read_only")

    def _alter(self, statement: str) -> None:
        self._tracker.database.execute(sql.SQL(statement).format(sql.Identifier(self._name)))


@pytest.fixture
def tracker(role: str, database_url: str, deploy: Deploy) -> Deployment:
    """One whose tracker has a role of its own."""
    return deploy(TRACKER_DATABASE_URL=make_conninfo(database_url, user=role, password="secret"))


@pytest.fixture
def its_role(tracker: Deployment, role: str) -> Iterator[Role]:
    found = Role(tracker, role)
    yield found
    found.may_write()


def test_workers_and_scheduler_continue_once_their_role_may_write_again(
    tracker: Deployment, its_role: Role
) -> None:
    """The sessions that they have by then began as such that only read, and stay so."""
    tracker.submit("before")
    tracker.start()
    tracker.wait_until_sent()
    tracker.process(tracker.message("acme:before.1"))
    its_role.may_only_read()
    [worker], [scheduler] = tracker.workers, tracker.schedulers
    tracker.send(tracker.message("acme:before.2*"))
    tracker.submit("after")
    wait_until(lambda: worker.count(DATABASE_RETRIES) > 2, "the worker to be refused")
    wait_until(lambda: scheduler.count(DATABASE_RETRIES) > 2, "the scheduler to be refused")
    its_role.may_write()
    tracker.wait_until_processed()
    tracker.wait_until_sent()
    assert tracker.client.get("acme:before").status == "Completed"
    assert sorted(tracker.started()) == ["acme:after", "acme:before"]


def test_a_client_continues_once_its_role_may_write_again(tracker: Deployment, its_role: Role) -> None:
    url = tracker.variables["TRACKER_DATABASE_URL"]
    with closing(Client(url)) as client:
        client.open()
        client.submit([tracker.job("before")])
        its_role.may_only_read()
        with pytest.raises(DatabaseUnavailable):
            client.submit([tracker.job("refused")])
        its_role.may_write()
        client.submit([tracker.job("after")])


def test_an_asynchronous_client_continues_too(tracker: Deployment, its_role: Role) -> None:
    async def use() -> None:
        async with AsyncClient(tracker.variables["TRACKER_DATABASE_URL"]) as client:
            await client.submit([tracker.job("before")])
            its_role.may_only_read()
            with pytest.raises(DatabaseUnavailable):
                await client.submit([tracker.job("refused")])
            its_role.may_write()
            await client.submit([tracker.job("after")])

    asyncio.run(use())
