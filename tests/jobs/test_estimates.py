"""Counts of very many jobs are estimates, and say so."""

import json

import msgspec
import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import job
from tracker import Client, JobCount
from tracker.jobs import query

COMPLETED, FAILED = 30, 10
ALL = COMPLETED + FAILED + 2


@pytest.fixture
def many(client: Client, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Jobs of which there are enough for an estimate."""
    monkeypatch.setattr(query, "ESTIMATED_FROM", 40)
    client.submit([job(f"j{number}", partition_id="pq"[number % 2]) for number in range(ALL)])
    for status, first, last in ((5, 0, COMPLETED), (3, COMPLETED, COMPLETED + FAILED)):
        connection.execute(
            "UPDATE job SET status = %s WHERE substring(job_id FROM 2)::integer >= %s"
            " AND substring(job_id FROM 2)::integer < %s",
            [status, first, last],
        )
    return client


def test_very_many_jobs_are_estimated(many: Client, connection: Connection) -> None:
    assert many.count_or_estimate() == JobCount(count=ALL)  # nothing is known yet
    connection.execute("VACUUM ANALYZE job")
    estimates = {
        "": ALL,
        "status==Completed": COMPLETED,
        "status!=Failed": ALL - FAILED,
        "status!=Failed;status!=Waiting": COMPLETED,
    }
    for rsql, number in estimates.items():
        assert many.count_or_estimate(matching=rsql or None) == JobCount(count=number, estimate=True)


def test_an_estimate_grows_with_the_table(many: Client, connection: Connection) -> None:
    connection.execute("VACUUM ANALYZE job")
    many.submit([job(f"new-{number}") for number in range(1_000)])
    assert 5 * ALL < many.count_or_estimate().count < 50 * ALL  # how many fit a page is known of few


def test_what_is_asked_for_exactly_or_is_few_is_counted(
    many: Client, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.execute("VACUUM ANALYZE job")
    for rsql in (
        "status==Failed",
        "partitionId==p",
        "status==Completed;id==j*",
        "status==Failed;status==Active",
    ):
        assert many.count_or_estimate(matching=rsql) == JobCount(count=many.count(matching=rsql))
    assert many.count() == ALL
    monkeypatch.setattr(query, "ESTIMATED_FROM", ALL + 1)
    assert many.count_or_estimate() == JobCount(count=ALL)
    assert json.loads(msgspec.json.encode(many.count_or_estimate())) == {"count": ALL}
