"""What batches drop of cancelled jobs is counted from the cancel on, and nothing else."""

import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import job
from tracker import Client
from tracker.jobs.cascade import cancel
from tracker.jobs.change import CANCEL
from tracker.jobs.filter_text import read_filter
from tracker.jobs.matching import change_matching
from tracker.jobs.on_the_way import DropCount, read_send_numbers

WITH_LABEL = read_filter(labels=["mine"])


def drop(connection: Connection, count: int, *job_ids: str) -> None:
    """Note messages of jobs as dropped, as a batch does."""
    for job_id in job_ids:
        connection.execute(
            "INSERT INTO job_note AS stored (tenant_key, job_key, dropped, drop_time)"
            " SELECT tenant_key, job_key, %s, now() FROM job WHERE job_id = %s"
            " ON CONFLICT (tenant_key, job_key) DO UPDATE SET dropped = stored.dropped + %s",
            [count, job_id, count],
        )


@pytest.fixture(autouse=True)
def _jobs(client: Client, connection: Connection) -> None:
    """Jobs in a chain, and one apart; of two some messages were dropped before."""
    mine = {"mine": "1"}
    client.submit([job("a", labels=mine), job("b", "a", labels=mine), job("c", "b", labels=mine), job("d")])
    drop(connection, 7, "a", "d")


@pytest.mark.parametrize("way", ["named", "cascade", "matching"])
def test_it_counts_what_is_dropped_of_the_jobs_since_their_cancel(
    client: Client, connection: Connection, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("tracker.jobs.matching.STEP_JOBS", 2)
    drops = DropCount()
    assert client.run(drops.count()) == 0
    if way == "matching":
        client.run(change_matching(CANCEL, WITH_LABEL, on_change=drops.begin, described=""))
    else:
        names = ["a"] if way == "cascade" else ["a", "b", "c"]
        client.run(drops.begin_with(cancel(names, cascade=way == "cascade")))
    assert client.run(drops.count()) == 0
    drop(connection, 2, "a", "c", "d")
    assert client.run(drops.count()) == 4
    drop(connection, 1, "b", "c")
    assert client.run(drops.count()) == 6


def test_a_job_that_was_cancelled_before_counts_if_it_is_named(
    client: Client, connection: Connection
) -> None:
    client.cancel("a")
    drop(connection, 5, "a")
    drops = DropCount()
    client.run(drops.begin_with(cancel("a")))
    drop(connection, 2, "a")
    assert client.run(drops.count()) == 2


def test_jobs_of_another_action_do_not_count(client: Client, connection: Connection) -> None:
    client.cancel("d")
    drops = DropCount()
    client.run(change_matching(CANCEL, WITH_LABEL, on_change=drops.begin, described=""))
    drop(connection, 3, "b", "d")
    assert client.run(drops.count()) == 3


def test_what_was_noted_long_before_the_action_is_not_looked_at(
    client: Client, connection: Connection
) -> None:
    drops = DropCount()
    client.run(change_matching(CANCEL, WITH_LABEL, on_change=drops.begin, described=""))
    drop(connection, 3, "b")
    connection.execute("UPDATE job_note SET drop_time = drop_time - interval '50 minutes'")
    assert client.run(drops.count()) == 3  # a batch notes when it began
    connection.execute("UPDATE job_note SET drop_time = drop_time - interval '50 minutes'")
    assert client.run(drops.count()) == 0


def test_the_send_numbers_are_those_of_the_scheduler(client: Client, connection: Connection) -> None:
    connection.execute("UPDATE deployment SET last_send_number = 7, sent_number = 5")
    assert client.run(read_send_numbers()) == (7, 5)
