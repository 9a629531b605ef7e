"""What is shown of jobs: one, lists, counts, failures."""

import json
import math
from contextlib import closing

import msgspec
import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import job, set_status
from tracker import Client, InvalidQuery, JobNotFound, JobStatus, RootFailure, TaskFailure, TrackerError
from tracker.jobs.filter import Page
from tracker.jobs.query import iterate_jobs, round_percentage

FAILURE = {
    "jobTaskId": "default:a.3",
    "failureId": "RESULT_EXCEPTION",
    "failureTime": 1_700_000_000_123,
    "failureSource": "worker",
    "failureMessage": "line 1\nline 2\u2028",
}


@pytest.fixture
def many(client: Client, connection: Connection) -> Client:
    """Six jobs in two partition IDs, created one after the other."""
    jobs = [("p:b1", "bob"), ("p:a1", "bob"), ("q:a1", "eve"), ("p:a2", ""), ("q:c1", "bob"), ("p:c%", "")]
    for number, (name, owner) in enumerate(jobs):
        partition_id, job_id = name.split(":")
        labels = {"owner": owner} | ({"urgent": "x=y"} if number < 2 else {})
        client.submit([job(job_id, partition_id=partition_id, labels=labels)])
    set_status(connection, "b1", JobStatus.COMPLETED)
    set_status(connection, "c1", JobStatus.PAUSED)
    connection.execute("UPDATE job SET last_update_time = now() WHERE job_id = 'a2'")
    return client


def names(client: Client, **options: object) -> list[str]:
    return [str(found) for found in client.list(**options)]  # type: ignore[arg-type]


def test_the_newest_come_first(many: Client) -> None:
    assert names(many) == ["p:c%", "q:c1", "p:a2", "q:a1", "p:a1", "p:b1"]


def test_sorted(many: Client) -> None:
    for sort, expected in {
        "createTime": ["p:b1", "p:a1", "q:a1", "p:a2", "q:c1", "p:c%"],
        "-createTime": ["p:c%", "q:c1", "p:a2", "q:a1", "p:a1", "p:b1"],
        "id": ["p:a1", "p:a2", "p:b1", "p:c%", "q:a1", "q:c1"],
        "-id": ["q:c1", "q:a1", "p:c%", "p:b1", "p:a2", "p:a1"],
        "-lastUpdateTime": ["p:a2", "p:c%", "q:c1", "q:a1", "p:a1", "p:b1"],
        "lastUpdateTime": ["p:b1", "p:a1", "q:a1", "q:c1", "p:c%", "p:a2"],
    }.items():
        assert names(many, sort=sort) == expected
        assert names(many, sort=sort, limit=2) == expected[:2]


def test_filtered(many: Client) -> None:
    cases: list[tuple[dict[str, object], set[str]]] = [
        ({"partition_id": "q"}, {"q:a1", "q:c1"}),
        ({"partition_id": "none"}, set()),
        ({"prefix": "a"}, {"p:a1", "p:a2", "q:a1"}),
        ({"prefix": "c%"}, {"p:c%"}),
        ({"prefix": "%"}, set()),
        ({"prefix": "a1", "partition_id": "p"}, {"p:a1"}),
        ({"status": "completed"}, {"p:b1"}),
        ({"status": [JobStatus.COMPLETED, JobStatus.PAUSED]}, {"p:b1", "q:c1"}),
        ({"label": "urgent"}, {"p:b1", "p:a1"}),
        ({"label": "owner=bob"}, {"p:b1", "p:a1", "q:c1"}),
        ({"label": "owner="}, {"p:a2", "p:c%"}),
        ({"label": "urgent=x=y"}, {"p:b1", "p:a1"}),
        ({"label": ["owner=bob", "urgent"], "status": "waiting"}, {"p:a1"}),
        ({"label": "nope"}, set()),
        ({}, {"p:b1", "p:a1", "q:a1", "p:a2", "q:c1", "p:c%"}),
    ]
    for filters, expected in cases:
        assert (filters, set(names(many, **filters))) == (filters, expected)
        assert many.count(**filters) == len(expected)  # type: ignore[arg-type]


def test_a_limit_of_zero_gives_all(client: Client) -> None:
    client.submit([job(f"j{number}") for number in range(5_000)])
    assert len(client.list()) == 100
    assert len(client.list(limit=0)) == 5_000
    assert len({found.id for found in client.iterate()}) == 5_000
    assert len(list(client.iterate(limit=7))) == 7


def test_what_cannot_be_asked_for_is_refused(client: Client) -> None:
    for options in (
        {"sort": "name"},
        {"sort": "--id"},
        {"status": "done"},
        {"limit": -1},
        {"prefix": "\0"},
        {"label": "\ud800"},
    ):
        with pytest.raises(InvalidQuery):
            names(client, **options)


def test_a_malformed_partition_id_is_an_error(client: Client) -> None:
    with pytest.raises(TrackerError):
        client.count(partition_id="a:b")


def test_a_job_that_is_not_there_is_named(client: Client) -> None:
    for ask in (client.get, lambda name: list(client.failures(name))):
        with pytest.raises(JobNotFound, match="default:nope"):
            ask("nope")


def test_the_json_of_a_job_has_the_fields_of_the_interface(client: Client) -> None:
    client.submit([job("a", "b", labels={"k": "v"})])
    shown = json.loads(msgspec.json.encode(client.get("a")))
    times = [shown.pop("createTime"), shown.pop("lastUpdateTime")]
    assert all(isinstance(time, int) for time in times)
    assert shown == {
        "partitionId": "default",
        "id": "a",
        "name": "",
        "description": "",
        "externalData": "",
        "status": "Waiting",
        "percentageComplete": 0.0,
        "failures": [],
        "labels": {"k": "v"},
        "prerequisiteJobIds": ["b"],
    }


@pytest.mark.parametrize(
    ("millionths", "shown"),
    [
        (0, 0.0), (4_999, 0.0), (5_000, 0.01), (15_000, 0.02), (33_333_333, 33.33), (12_345_000, 12.35),
        (99_700_000, 99.7), (100_000_000, 100.0),
    ],
)  # fmt: skip
def test_percentages_have_two_decimals_and_halves_go_up(millionths: int, shown: float) -> None:
    assert math.isclose(round_percentage(millionths), shown, abs_tol=1e-9)
    assert round(round_percentage(millionths), 2) == round_percentage(millionths)


def test_the_summary_of_failures_is_shown_with_the_job(client: Client, connection: Connection) -> None:
    client.submit([job("a")])
    lines = "\n".join(
        json.dumps(FAILURE | {"failureId": str(number)}, ensure_ascii=False) for number in range(3)
    )
    connection.execute("UPDATE job SET status = 3, failure_summary = %s", [lines])
    failures = client.get("a").failures
    assert [json.loads(msgspec.json.encode(failure)) for failure in failures] == [
        FAILURE | {"failureId": str(number)} for number in range(3)
    ]


def test_all_failed_tasks_are_listed_in_the_order_of_their_numbers(
    client: Client, connection: Connection
) -> None:
    client.submit([job("a", partition_id="p")])
    for path in ("10", "2", "", "2.1", "1.10", "1.9"):
        connection.execute(
            "INSERT INTO task_failure SELECT tenant_key, job_key, %s, 'id', 5, 'source', 'message' FROM job",
            [path],
        )
    found = list(client.failures("p:a"))
    assert [failure.job_task_id for failure in found if isinstance(failure, TaskFailure)] == [
        "p:a", "p:a.1.9", "p:a.1.10", "p:a.2", "p:a.2.1", "p:a.10",
    ]  # fmt: skip
    assert found[0] == TaskFailure(
        job_task_id="p:a",
        failure_id="id",
        failure_time_ms=5,
        failure_source="source",
        failure_message="message",
    )


def test_a_job_that_failed_because_of_another_says_so(client: Client, connection: Connection) -> None:
    client.submit([job("a")])
    entry = {"root_failure": "default:T1", "failure_details": [FAILURE]}
    connection.execute("UPDATE job SET status = 3, failure_summary = %s", [json.dumps(entry)])
    expected = [RootFailure(root_failure="default:T1", failure_details=[FAILURE])]
    assert client.get("a").failures == expected
    assert list(client.failures("a")) == expected
    assert json.loads(msgspec.json.encode(expected[0])) == entry


def test_many_failures_come_in_pieces(client: Client, connection: Connection) -> None:
    client.submit([job("a")])
    connection.execute(
        """
        INSERT INTO task_failure
        SELECT tenant_key, job_key, number::text, 'id', 5, 'source', 'message'
        FROM job, generate_series(1, 30000) AS number
        """
    )
    assert sum(1 for _ in client.failures("a")) == 30_000


def test_a_list_may_be_left_in_the_middle(database_url: str) -> None:
    with Client(database_url, max_connections=1) as client:
        client.submit([job(f"j{number}") for number in range(5_000)])
        with closing(client.iterate()) as jobs:
            next(jobs)
        assert client.count() == 5_000


def test_the_newest_are_found_by_an_index(client: Client, connection: Connection) -> None:
    client.submit([job(f"j{number}", partition_id=f"p{number % 3}") for number in range(9_000)])
    connection.execute("ANALYZE job, tenant")
    verb = iterate_jobs(page=Page(limit=10)).begin()
    try:
        next(verb)
        next(verb)
    except StopIteration as end:
        listing = end.value.query
    explained = connection.execute(b"EXPLAIN " + listing.statement.as_bytes(connection), listing.parameters)
    plan = "\n".join(line for (line,) in explained)
    assert "Index Scan Backward" in plan
    assert "Seq Scan on job" not in plan
