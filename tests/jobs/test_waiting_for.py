"""Jobs that wait for one, directly or not: which are listed, counted and changed."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import job, set_status
from tracker import ChangeCount, Client, InvalidQuery
from tracker.identifiers import BadIdentifier, JobName
from tracker.job_filter import DependsOn, JobFilter
from tracker.job_status import STATUSES
from tracker.jobs.filter_text import read_filter

WAITING, ACTIVE, PAUSED, FAILED, CANCELLED, COMPLETED = STATUSES
SORTS = ["createTime", "-createTime", "lastUpdateTime", "-lastUpdateTime", "id", "-id"]


@pytest.fixture
def graph(client: Client, connection: Connection) -> Client:
    """A diamond downstream of `a`, jobs of each status that name it, and what has nothing to do with it."""
    client.submit(
        [
            job("a"), job("b", "a"), job("c", "a"), job("d", "b", "c"), job("e", "d", "x"),
            job("completed", "a"), job("cancelled", "a"),
            job("failed", "a"), job("after-failed", "failed"),
            job("propagated", "a"), job("after-propagated", "propagated"),
            job("x"), job("a", partition_id="other"), job("b", "a", partition_id="other"),
            job("c", "b", partition_id="other"),
        ]
    )  # fmt: skip
    set_status(connection, "c", PAUSED)
    for status in (COMPLETED, FAILED, CANCELLED):
        set_status(connection, status.lower(), status)
    connection.execute("UPDATE job SET status = 3, root_job_id = 'z' WHERE job_id = 'propagated'")
    return client


def names(client: Client, **options: Any) -> list[str]:
    return sorted(str(found).removeprefix("default:") for found in client.list(**options))


DIRECT = ["b", "c", "propagated"]
ALL = ["after-propagated", "b", "c", "d", "e", "propagated"]


def test_a_list_has_those_that_wait_directly_or_all(graph: Client) -> None:
    assert names(graph, waiting_for="a") == DIRECT
    assert names(graph, waiting_for="a", transitive=True) == ALL
    assert names(graph, waiting_for="other:a") == ["other:b"]
    assert names(graph, waiting_for="other:a", transitive=True) == ["other:b", "other:c"]
    assert names(graph, waiting_for="x", transitive=True) == ["e"]
    # What failed by itself does not wait, and what waits for it does not wait for `a`.
    assert names(graph, waiting_for="failed") == ["after-failed"]
    assert names(graph, waiting_for=graph.get("d")) == ["e"]
    assert names(graph, waiting_for="e", transitive=True) == names(graph, waiting_for="nobody:a") == []


def test_one_that_is_not_stored_can_be_waited_for(graph: Client) -> None:
    graph.delete("a")
    assert names(graph, waiting_for="a") == DIRECT
    assert names(graph, waiting_for="a", transitive=True) == ALL


@pytest.mark.parametrize("transitive", [False, True])
def test_counts_and_other_conditions_fit_the_list(graph: Client, transitive: bool) -> None:
    expected = ALL if transitive else DIRECT
    waiting: dict[str, Any] = {"waiting_for": "a", "transitive": transitive}
    assert graph.count(**waiting) == graph.count_or_estimate(**waiting).count == len(expected)
    assert [found.id for found in graph.iterate(**waiting, sort="id")] == expected
    assert names(graph, **waiting, status="Failed") == ["propagated"]
    assert names(graph, **waiting, status=["Paused", "Completed"]) == ["c"]
    assert names(graph, **waiting, prefix="after") == (["after-propagated"] if transitive else [])
    assert names(graph, **waiting, partition_id="other") == []
    assert names(graph, **waiting, matching="id=in=(b,x)") == ["b"]


def test_it_can_be_a_part_of_a_filter(graph: Client) -> None:
    direct, downstream = (DependsOn(JobName("default", "a"), each) for each in (False, True))
    assert names(graph, matching=direct | DependsOn(JobName("default", "x"))) == [
        *DIRECT[:2],
        "e",
        "propagated",
    ]
    assert names(graph, matching=downstream & ~direct) == ["after-propagated", "d", "e"]
    assert names(graph, matching=downstream & DependsOn(JobName("default", "b"))) == ["d"]
    every = names(graph, limit=0)
    for part, expected in ((direct, DIRECT), (downstream, ALL)):
        assert names(graph, matching=~part, limit=0) == [name for name in every if name not in expected]
        assert graph.count(matching=~part) == len(every) - len(expected)


@pytest.mark.parametrize("sort", SORTS)
def test_its_pages_are_the_list(graph: Client, sort: str) -> None:
    def pages(limit: int) -> Iterator[str]:
        after = None
        while True:
            page = graph.list_page(waiting_for="a", transitive=True, sort=sort, limit=limit, after=after)
            assert len(page.jobs) <= limit
            yield from map(str, page.jobs)
            after = page.next
            if after is None:
                return

    whole = [str(found) for found in graph.list(waiting_for="a", transitive=True, sort=sort)]
    assert len(whole) == len(ALL)
    for limit in (1, 2, 5, 6, 100):
        assert list(pages(limit)) == whole


def test_a_cycle_has_an_end(client: Client, connection: Connection) -> None:
    client.submit([job("a"), job("b", "a")])
    connection.execute(
        "INSERT INTO prerequisite (tenant_key, prerequisite_job_id, job_key)"
        " SELECT tenant_key, 'b', job_key FROM job WHERE job_id = 'a'"
    )
    assert names(client, waiting_for="a", transitive=True) == ["a", "b"]


def test_a_chain_of_a_thousand_and_ten_thousand_side_by_side(client: Client) -> None:
    chain = [f"j{number}" for number in range(1_000)]
    client.submit([job("j0"), *(job(name, before) for before, name in pairwise(chain))])
    client.submit([job(f"w{number}", chain[-1]) for number in range(10_000)])
    assert client.count(waiting_for="j0", transitive=True) == 10_999
    assert client.count(waiting_for=chain[-1]) == 10_000
    first = client.list_page(waiting_for="j0", transitive=True, limit=3, sort="createTime")
    assert ([found.id for found in first.jobs], first.next is not None) == (["j1", "j2", "j3"], True)


@pytest.mark.parametrize(
    ("verb", "transitive", "expected"),
    [
        ("cancel", False, (3, 2)),
        ("pause", False, (3, 1)),
        ("pause", True, (6, 4)),
        ("resume", True, (6, 1)),
        ("retry", False, (3, 1)),
        ("delete", False, (3, 3)),
    ],
)
def test_all_that_wait_are_changed_in_steps(
    graph: Client, monkeypatch: pytest.MonkeyPatch, verb: str, transitive: bool, expected: tuple[int, int]
) -> None:
    monkeypatch.setattr("tracker.jobs.matching.STEP_JOBS", 1)
    matched, changed = expected
    counts = getattr(graph, verb)(matching=DependsOn(JobName("default", "a"), transitive))
    assert counts == ChangeCount(matched=matched, changed=changed, skipped=matched - changed)


@pytest.mark.parametrize("verb", ["cancel", "delete"])
@pytest.mark.parametrize("of", [lambda part: part, lambda part: ~part, lambda part: part | read_filter("p")])
def test_what_removes_the_way_to_the_others_is_refused(graph: Client, verb: str, of: Any) -> None:
    wanted: JobFilter = of(DependsOn(JobName("default", "a"), transitive=True))
    with pytest.raises(InvalidQuery, match="tracker job cancel --cascade JOB"):
        getattr(graph, verb)(matching=wanted)
    assert graph.count(status="Cancelled") == 1


def test_arguments_are_checked(client: Client) -> None:
    with pytest.raises(InvalidQuery, match="`transitive` is for jobs that wait for another one"):
        client.list(transitive=True)
    with pytest.raises(InvalidQuery, match="`transitive` is a string, not a boolean"):
        client.list(waiting_for="a", transitive="no")  # type: ignore[arg-type]
    with pytest.raises(BadIdentifier):
        client.list(waiting_for="a:b:c")
