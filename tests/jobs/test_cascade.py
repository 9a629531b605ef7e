"""A cancel that takes everything downstream: what it reaches, where it stops, and what is said without it."""

from itertools import pairwise

import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import job, rows, set_status
from tracker import Client, JobNotFound, JobRefused
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs import cascade as cascade_module

WAITING, ACTIVE, PAUSED, FAILED, CANCELLED, COMPLETED = STATUSES


def with_status(connection: Connection, status: JobStatus) -> str:
    found = rows(connection, "SELECT job_id FROM job WHERE status = %s ORDER BY job_id", status.number)
    return " ".join(job_id for (job_id,) in found)


@pytest.fixture
def graph(client: Client, connection: Connection) -> None:
    """Diamonds downstream of `a`, with jobs of each status among them, and what has nothing to do with it."""
    client.submit(
        [
            job("a"), job("b", "a"), job("c", "a"), job("d", "b", "c"), job("e", "d", "x"),
            job("completed", "a"), job("after-completed", "completed"),
            job("failed", "a"), job("after-failed", "failed"),
            job("cancelled", "a"), job("after-cancelled", "cancelled"),
            job("x"), job("y", "x"), job("a", partition_id="other"), job("b", "a", partition_id="other"),
        ]
    )  # fmt: skip
    set_status(connection, "b", ACTIVE)
    set_status(connection, "c", PAUSED)
    for status in (COMPLETED, FAILED, CANCELLED):
        set_status(connection, status.lower(), status)


@pytest.mark.usefixtures("graph")
def test_a_cascade_takes_all_that_waits_each_once_and_stops_at_what_has_ended(
    client: Client, connection: Connection
) -> None:
    changed = client.cancel("a", cascade=True)
    assert [(each.id, each.changed) for each in changed] == [(name, True) for name in "abcde"]
    assert with_status(connection, CANCELLED) == "a b c cancelled d e"
    waiting = rows(connection, "SELECT job_id FROM job WHERE status = 0 ORDER BY job_id")
    assert [name for (name,) in waiting] == [
        "a", "after-cancelled", "after-completed", "after-failed", "x", "y",
    ]  # fmt: skip
    # What has ended keeps what it waited for.
    assert rows(connection, "SELECT count(*) FROM prerequisite WHERE prerequisite_job_id = 'a'") == [(4,)]


@pytest.mark.usefixtures("graph")
def test_a_root_that_is_cancelled_already_has_the_rest_cancelled(
    client: Client, connection: Connection
) -> None:
    client.cancel(["a", "cancelled"])
    assert client.count_dependents("a") == 4
    changed = client.cancel(["cancelled", "a"], cascade=True)
    assert [(each.id, each.changed) for each in changed] == [
        ("cancelled", False), ("a", False), ("after-cancelled", True),
        ("b", True), ("c", True), ("d", True), ("e", True),
    ]  # fmt: skip
    assert client.count_dependents(["a", "cancelled"]) == 0
    assert [each.changed for each in client.cancel("a", cascade=True)] == [False]


@pytest.mark.parametrize("name", ["failed", "completed"])
@pytest.mark.usefixtures("graph")
def test_a_root_that_has_ended_refuses_all_or_is_left_out_with_what_waits_for_it(
    client: Client, connection: Connection, name: str
) -> None:
    with pytest.raises(JobRefused, match=f"default:{name} is {name.capitalize()}"):
        client.cancel(["x", name], cascade=True)
    assert with_status(connection, CANCELLED) == "cancelled"
    changed = client.cancel(["x", name], cascade=True, skip_ended=True)
    assert [each.id for each in changed] == ["x", "e", "y"]
    assert client.get(f"after-{name}").status is WAITING


@pytest.mark.usefixtures("graph")
def test_a_root_that_is_not_stored_is_not_found_and_nothing_is_done(
    client: Client, connection: Connection
) -> None:
    with pytest.raises(JobNotFound, match=r"no such job: default:nope$"):
        client.cancel(["a", "nope"], cascade=True)
    assert with_status(connection, CANCELLED) == "cancelled"


def test_a_thousand_levels_of_diamonds_are_one_cancel(client: Client, connection: Connection) -> None:
    levels = [[f"{level}-{side}" for side in range(3)] for level in range(1_000)]
    client.submit(
        [
            *(job(name) for name in levels[0]),
            *(job(name, *above) for above, level in pairwise(levels) for name in level),
        ]
    )
    assert client.count_dependents("0-0") == 2_997
    assert len(client.cancel("0-0", cascade=True)) == 2_998
    assert rows(connection, "SELECT job_id FROM job WHERE status = 0 ORDER BY 1") == [("0-1",), ("0-2",)]
    assert rows(connection, "SELECT count(*) FROM prerequisite") == [(0,)]
    assert rows(connection, "SELECT count(*) FROM task_message") == [(2,)]


def test_those_that_wait_are_counted_up_to_a_bound_and_also_for_what_is_deleted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.submit([job("a"), *(job(f"d{number}", "a") for number in range(10)), job("e", "d1", "d2")])
    client.delete("a")
    assert client.count_dependents("a") == 11
    assert client.count_dependents(["a", "d1", "e"]) == 11
    monkeypatch.setattr(cascade_module, "MOST_DEPENDENTS", 5)
    assert client.count_dependents("a") == 5
    assert client.count_dependents("unknown:a") == 0
