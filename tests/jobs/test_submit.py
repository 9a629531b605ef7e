"""What a submit stores, and when a job that is there already is a conflict."""

import base64
from typing import Any

import pytest
from msgspec import structs

from tests.support.client_fixtures import Connection
from tests.support.jobs import TASK, as_json, job, rows, total
from tracker import Client, JobConflict, JobStatus, NewTask


def task_data(connection: Connection) -> bytes:
    ((data,),) = rows(connection, "SELECT task_data FROM task_message")
    return bytes(data)


def test_a_job_is_stored_with_all_that_was_submitted(client: Client) -> None:
    (submitted,) = client.submit(
        [
            job("import-7", partition_id="acme", name="Import", description="All of it", external_data="x7",
                labels={"owner": "bob", "a:b_c-9": ""})
        ]
    )  # fmt: skip
    assert (str(submitted), submitted.created) == ("acme:import-7", True)
    found = client.get("acme:import-7")
    assert (found.partition_id, found.id, found.name, found.description, found.external_data) == (
        "acme", "import-7", "Import", "All of it", "x7",
    )  # fmt: skip
    assert found.labels == {"owner": "bob", "a:b_c-9": ""}
    assert (found.status, found.percentage_complete, found.failures) == (JobStatus.WAITING, 0, [])
    assert found.create_time_ms == found.last_update_time_ms > 1_700_000_000_000


def test_the_partition_id_is_default_where_none_is_given(client: Client) -> None:
    client.submit([as_json("a")])
    assert client.get("a") == client.get("default:a")


def test_a_mapping_is_the_same_as_a_new_job(client: Client) -> None:
    client.submit([as_json("a", partitionId="acme", labels={"k": "v"}, delay=3)])
    task = NewTask(
        task_classifier="DocumentWorker", task_api_version=1, task_data={"any": "object"}, task_pipe="in"
    )
    (again,) = client.submit([job("a", partition_id="acme", task=task, labels={"k": "v"}, delay=3)])
    assert not again.created


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"task_data": {"b": [1, 2.5, None], "a": "ü"}}, '{"b":[1,2.5,null],"a":"ü"}'.encode()),
        ({"task_data": {}}, b"{}"),
        ({"task_data": "plain ü"}, "plain ü".encode()),
        ({"task_data": base64.b64encode(b"\x00\xff").decode(), "task_data_encoding": "base64"}, b"\x00\xff"),
        ({"task_data": {"nul": "\0"}}, b'{"nul":"\\u0000"}'),
        ({"task_data": ""}, b""),
    ],
)
def test_task_data_is_an_objects_json_or_a_strings_bytes(
    client: Client, connection: Connection, fields: dict[str, Any], sent: bytes
) -> None:
    task = NewTask(task_classifier="x", task_api_version=1, task_pipe="in", **fields)
    client.submit([job("a", task=task)])
    assert task_data(connection) == sent


def test_the_task_waits_to_be_sent(client: Client, connection: Connection) -> None:
    task = NewTask(
        task_classifier="DocumentWorker",
        task_api_version=3,
        task_data="x",
        task_pipe="worker-in",
        target_pipe="worker-out",
    )
    client.submit([job("a", task=task, delay=90)])
    assert rows(
        connection,
        """
        SELECT unmet, delay_s, task_classifier, task_api_version, task_pipe, target_pipe, paused,
               eligible_time - create_time = interval '90 seconds'
        FROM task_message JOIN job USING (tenant_key, job_key)
        """,
    ) == [(0, 90, "DocumentWorker", 3, "worker-in", "worker-out", False, True)]


def test_the_scheduler_is_woken_for_a_job_that_waits_for_nothing(
    client: Client, connection: Connection
) -> None:
    connection.execute("LISTEN tracker_scheduler")
    client.submit([job("dependent", "a")])
    client.submit([job("a")])
    notified = [notify.channel for notify in connection.notifies(timeout=10, stop_after=1)]
    assert notified == ["tracker_scheduler"]
    assert list(connection.notifies(timeout=0.1)) == []


def test_the_same_job_again_is_a_no_op(client: Client, connection: Connection) -> None:
    client.submit([job("a", "x", "y,pc", labels={"k": "v", "l": "w"})])
    before = total(connection)
    same = job("a", "y,pc", "x", "x", labels={"l": "w", "k": "v"})
    assert [submitted.created for submitted in client.submit([same])] == [False]
    assert total(connection) == before


def test_the_same_job_again_is_a_no_op_whatever_has_become_of_it(
    client: Client, connection: Connection
) -> None:
    client.submit([job("a")])
    for number, status in enumerate(JobStatus):
        connection.execute("UPDATE job SET status = %s", [number])
        client.submit([job("a")])
        assert client.get("a").status is status


def test_the_same_name_with_other_content_is_a_conflict_and_nothing_is_stored(
    client: Client, connection: Connection
) -> None:
    client.submit([job("a")])
    before = total(connection)
    for other in (
        job("a", name="n"),
        job("a", description="d"),
        job("a", external_data="e"),
        job("a", labels={"k": "v"}),
        job("a", "b"),
        job("a", "b,pc"),
        job("a", delay=1),
        job("a", task=structs.replace(TASK, task_data={})),
        job("a", task=structs.replace(TASK, task_classifier="other")),
        job("a", task=structs.replace(TASK, task_pipe="other")),
        job("a", task=structs.replace(TASK, target_pipe="other")),
        job("a", task=structs.replace(TASK, task_api_version=2)),
    ):
        with pytest.raises(JobConflict, match="default:a"):
            client.submit([job("new"), other])
        assert total(connection) == before


def test_the_same_job_twice_in_one_call_is_stored_once(client: Client) -> None:
    assert [str(submitted) for submitted in client.submit([job("a"), job("b"), job("a")])] == [
        "default:a",
        "default:b",
    ]


def test_the_same_name_twice_in_one_call_with_other_content_is_a_conflict(
    client: Client, connection: Connection
) -> None:
    with pytest.raises(JobConflict, match=r"twice.*default:a"):
        client.submit([job("a"), job("b"), job("a", name="other")])
    assert total(connection) == 0


def test_the_same_job_id_in_two_partition_ids_is_two_jobs(client: Client) -> None:
    client.submit([job("a", partition_id="p"), job("a", partition_id="q", name="other")])
    assert (client.get("p:a").name, client.get("q:a").name) == ("", "other")


def test_no_jobs_are_fine(client: Client) -> None:
    assert client.submit([]) == []


def test_jobs_of_many_partition_ids_go_in_one_call(client: Client) -> None:
    """More than PostgreSQL has room for advisory locks."""
    client.submit([job("a", partition_id=f"p{number}") for number in range(20_000)])
    assert client.count() == 20_000


def test_jobs_of_one_call_are_listed_in_their_order(client: Client) -> None:
    client.submit([job(job_id) for job_id in ("c", "a", "b")])
    assert [found.id for found in client.list(sort="createTime")] == ["c", "a", "b"]


def test_text_of_every_kind_comes_back_as_it_was(client: Client) -> None:
    text = "tab\tnewline\nquote'\"\\ {x} %s ü 漢 🙂 \x01\u2028"
    client.submit([job("ü 漢", partition_id="🙂 x", name=text, labels={"k": text}, task=TASK)])
    found = client.get("🙂 x:ü 漢")
    assert (found.name, found.labels) == (text, {"k": text})
