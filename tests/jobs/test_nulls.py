"""Null in a field that may be left out is the same as leaving it out: stored as null, and shown as empty."""

from typing import Any

from tests.support.client_fixtures import Connection
from tests.support.jobs import as_json, rows
from tracker import Client

STORED = """
    SELECT job_id, name, description, external_data, label_value
    FROM job LEFT JOIN label USING (tenant_key, job_key) ORDER BY job_id
"""


def test_null_is_absent_and_stored_as_null(client: Client, connection: Connection) -> None:
    nulls: dict[str, Any] = dict.fromkeys(
        ("partitionId", "name", "description", "externalData", "prerequisiteJobIds", "delay")
    )
    task = as_json("a")["task"] | {"targetPipe": None, "taskDataEncoding": None}
    client.submit([as_json("null", **nulls, task=task, labels={"k": None}), as_json("none", labels=None)])
    empty = {"name": "", "description": "", "externalData": "", "labels": {"k": ""}}
    client.submit([as_json("text", **empty)])
    assert rows(connection, STORED) == [
        ("none", None, None, None, None),
        ("null", None, None, None, None),
        ("text", "", "", "", ""),
    ]
    shown = [client.get(job_id) for job_id in ("none", "null", "text")]
    assert [(job.name, job.description, job.external_data) for job in shown] == [("", "", "")] * 3
    assert [job.labels for job in shown] == [{}, {"k": ""}, {"k": ""}]
    assert rows(
        connection, "SELECT count(*) FROM task_message WHERE delay_s = 0 AND target_pipe IS NULL"
    ) == [(3,)]


def test_a_label_whose_value_is_null_is_found_by_its_key_alone(client: Client) -> None:
    client.submit([as_json("null", labels={"k": None}), as_json("text", labels={"k": ""}), as_json("none")])
    assert {job.id for job in client.list(label="k")} == {"null", "text"}
    assert {job.id for job in client.list(label="k=")} == {"text"}
