"""Databases that were not made for the tracker: other collations, and a publication of all tables."""

import uuid
from collections.abc import Iterator
from functools import partial

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.support import invariants
from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import wait_until
from tracker import JobStatus
from tracker.stack import LocalStack
from tracker.store.migrate import migrate

NAMES = [
    "i",
    "I",
    "\u0131",
    "\u0130",
    "istanbul",
    "ISTANBUL",
    "\u0131stanbul",
    "straße",
    "STRASSE",
    "é",
    "e\u0301",
]
"""Names that are the same in some collation, or in small letters."""


@pytest.fixture(params=["tr-TR", "und-u-ks-level2"], ids=["Turkish", "regardless of case"])
def collated_url(stack: LocalStack, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database that compares text in its own way unless a statement names a collation."""
    name = f"collated_{uuid.uuid4().hex[:12]}"
    create = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE {}"
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        try:
            connection.execute(sql.SQL(create).format(sql.Identifier(name), sql.Literal(request.param)))
        except psycopg.errors.FeatureNotSupported:
            pytest.skip("this PostgreSQL has no ICU")
        try:
            url = make_conninfo(stack.database_url, dbname=name)
            migrate(url)
            yield url
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_names_are_distinguished_whatever_the_collation(collated_url: str, deploy: Deploy) -> None:
    tracker = deploy()
    tracker.use_database(collated_url)
    jobs = [tracker.job(name, labels={"tag": name}) for name in NAMES]
    dependents = [tracker.job(f"after {name}", name) for name in NAMES]
    tracker.client.submit([*jobs, *dependents])
    assert [each.created for each in tracker.client.submit(jobs)] == [False] * len(jobs)
    with tracker.running():
        wait_until(lambda: len(tracker.started()) == len(NAMES), "all jobs started")
        for number, name in enumerate(NAMES):
            tracker.process(tracker.message(f"acme:{name}.1*"))
            completed = tracker.client.list(partition_id="acme", status="Completed")
            assert {job.id for job in completed} == set(NAMES[: number + 1])
        wait_until(lambda: len(tracker.started()) == 2 * len(NAMES), "all dependents started")
        list_jobs = partial(tracker.client.list, partition_id="acme", sort="id")
        for name in NAMES:
            assert tracker.look(name).id == name
            assert [found.id for found in list_jobs(label=f"tag={name}")] == [name]
            assert [found.id for found in list_jobs(prefix=f"after {name}")] == [
                f"after {each}" for each in sorted(NAMES) if each.startswith(name)
            ]
        tracker.client.delete([f"acme:{NAMES[0]}"])
        assert tracker.client.count(partition_id="acme") == 2 * len(NAMES) - 1
        invariants.check(tracker)


def test_a_publication_of_all_tables_keeps_nothing_from_being_changed(tracker: Deployment) -> None:
    """PostgreSQL refuses to update or delete rows that it could not name to a subscriber."""
    tracker.database.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    tracker.submit("a")
    tracker.submit("b", "a", labels={"x": "y"})
    tracker.submit("c", "b", delay=1)
    tracker.submit("held", delay=0)
    with tracker.running():
        wait_until(lambda: {"acme:a", "acme:held"} <= set(tracker.started()), "the start of two")
        tracker.client.pause(["acme:held"])
        tracker.process(
            tracker.more_work("acme:held.1"), tracker.message("acme:a.1"), tracker.progress("acme:a.2", 5)
        )
        tracker.client.resume(["acme:held"])
        tracker.process(tracker.message("acme:a.2*"), tracker.message("acme:held.1", status="INVALID_TASK"))
        wait_until(lambda: "acme:b" in tracker.started(), "the start of its dependent")
        tracker.process(tracker.message("acme:b.1*"))
        wait_until(lambda: "acme:c" in tracker.started(), "the start of the last")
        tracker.client.cancel(["acme:c"])
        tracker.client.delete(["acme:a", "acme:b"])
        tracker.wait_until_sent()
    assert tracker.statuses("c", "held") == [JobStatus.CANCELLED, JobStatus.FAILED]


def test_each_table_can_be_published(tracker: Deployment) -> None:
    """Those that a test did not change, too: each has a primary key."""
    without = tracker.rows(
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = 'tracker'::regnamespace AND relkind IN ('r', 'p')
            AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisprimary)
        """
    )
    assert without == []
