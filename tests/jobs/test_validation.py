"""Every field of a submitted job is checked, by the same code in each form that a job can come in."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import msgspec
import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import as_json, job, rows
from tracker import AsyncClient, Client, InvalidJob, InvalidQuery, NewJob, NewTask, TrackerError
from tracker.jobs.fields import InvalidField
from tracker.jobs.job_text import read_job
from tracker.jobs.validation import accept

JOB_FIELDS = {field.encode_name: field for field in msgspec.structs.fields(NewJob)}
TASK_FIELDS = {field.encode_name: field for field in msgspec.structs.fields(NewTask)}
MAY_BE_NULL = {
    "partitionId", "name", "description", "externalData", "labels", "prerequisiteJobIds", "delay",
    "targetPipe", "taskDataEncoding",
}  # fmt: skip
SOUND: dict[str, type | tuple[type, ...]] = {
    "task": dict,
    "labels": dict,
    "prerequisiteJobIds": list,
    "delay": int,
    "taskApiVersion": int,
    "taskData": (dict, str),
}
VALUES: tuple[Any, ...] = (None, True, 7, 1.5, "text", [], ["a", 1], {}, {"k": 1})


def from_program(document: dict[str, Any]) -> NewJob:
    task = document["task"]
    if isinstance(task, dict) and "taskPipe" in task:
        task = NewTask(**{TASK_FIELDS[field].name: value for field, value in task.items()})
    return NewJob(**{JOB_FIELDS[field].name: value for field, value in (document | {"task": task}).items()})


def said(submit: Callable[[], object]) -> str | None:
    try:
        submit()
    except (TrackerError, InvalidField) as error:
        return str(error).removeprefix("it (default:a): ").removeprefix("it: ")
    return None


def submit(given: Any) -> None:
    accept([given], lambda _: "it")


def documents() -> list[tuple[str, object, dict[str, Any]]]:
    found: list[tuple[str, object, dict[str, Any]]] = []
    for field in JOB_FIELDS:
        found += [(field, value, as_json("a", **{field: value})) for value in VALUES if field != "id"]
    for field in TASK_FIELDS:
        found += [
            (field, value, as_json("a", task=as_json("a")["task"] | {field: value})) for value in VALUES
        ]
    return found + [("id", value, as_json("a") | {"id": value}) for value in VALUES]


@pytest.mark.parametrize(
    ("field", "value", "document"), documents(), ids=[f"{field}-{value!r}" for field, value, _ in documents()]
)
def test_a_field_of_a_wrong_type_is_refused_alike_in_each_form(
    field: str, value: object, document: dict[str, Any]
) -> None:
    by_mapping = said(lambda: submit(document))
    by_program = said(lambda: submit(from_program(document)))
    by_text = said(lambda: submit(read_job(json.dumps(document).encode())))
    assert by_program == by_mapping == by_text
    if value is None and field in MAY_BE_NULL:
        assert by_mapping is None
    elif not isinstance(value, SOUND.get(field, str)) or type(value) is bool:
        assert by_mapping is not None
        assert field in by_mapping
        assert "is" in by_mapping.split()


@pytest.mark.parametrize(
    ("field", "make"), [("labels", lambda value: {"k": value}), ("prerequisiteJobIds", lambda value: [value])]
)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_is_in_a_list_or_an_object_is_checked_too(
    field: str, make: Callable[[Any], Any], value: Any
) -> None:
    document = as_json("a", **{field: make(value)})
    by_mapping = said(lambda: submit(document))
    assert by_mapping == said(lambda: submit(from_program(document)))
    assert by_mapping == said(lambda: submit(read_job(json.dumps(document).encode())))
    is_sound = isinstance(value, str) or (field == "labels" and value is None)
    assert (by_mapping is None) == is_sound
    assert is_sound or "not a string" in str(by_mapping)


EQUAL_KEYS = [
    ('"name": "a", "name": "b"', "", "the field 'name' is given more than once"),
    (r'"name": "a", "n\u0061me": "a"', "", "the field 'name' is given more than once"),
    ('"task": {}', "", "the field 'task' is given more than once"),
    ("", '"taskPipe": "x"', "the field 'taskPipe' in task is given more than once"),
    ("", '"taskData": {}', "the field 'taskData' in task is given more than once"),
    ('"labels": {"k": "1", "l": null, "k": "2"}', "", "the label 'k' is given more than once"),
]


@pytest.mark.parametrize(("in_job", "in_task", "why"), EQUAL_KEYS)
def test_a_job_that_says_something_twice_is_refused(in_job: str, in_task: str, why: str) -> None:
    text = json.dumps(as_json("a")).removesuffix("}}")
    text = f"{{{in_job}, {text[1:]}" if in_job else text
    with pytest.raises(InvalidField, match=f"^{why}$"):
        read_job(f"{text}, {in_task}}}}}".encode() if in_task else f"{text}}}}}".encode())


def test_task_data_may_have_equal_keys() -> None:
    data = '{"task": {"a": 1, "a": 2}, "id": 1, "id": 2}'
    task = as_json("a")["task"] | {"taskData": "here"}
    text = json.dumps(as_json("a", task=task)).replace('"here"', data)
    read = read_job(text.encode()).task
    assert isinstance(read, NewTask)
    assert read.task_data == data


@pytest.mark.parametrize("given", [None, 7, "text", [], b"{}", Decimal(1)])
def test_what_is_no_job_is_refused_with_what_it_is(given: object) -> None:
    assert (said(lambda: submit(given)) or "").startswith("the job is ")


def test_what_is_no_list_of_jobs_is_refused(client: Client) -> None:
    wrong: tuple[Any, ...] = (None, 7, "text", b"{}", {"id": "a"}, job("a"))
    for given in wrong:
        with pytest.raises(InvalidJob, match="jobs to submit are given as"):
            client.submit(given)


def test_no_job_is_stored_for_a_tenant_or_under_a_name_that_nobody_gave(
    client: Client, connection: Connection
) -> None:
    client.submit([job("a", partition_id=None)])
    for bad in (job("b", partition_id=7), job(cast("str", None)), job(cast("str", 7))):
        with pytest.raises(InvalidJob, match=r"(partitionId|id) is (a number|null), not a string"):
            client.submit([bad])
    assert rows(connection, "SELECT partition_id, job_id FROM job JOIN tenant USING (tenant_key)") == [
        ("default", "a")
    ]


def test_a_job_is_named_by_a_string_or_by_what_has_its_name(client: Client) -> None:
    client.submit([job("None"), job("7")])
    verbs: tuple[Any, ...] = (
        client.get, client.cancel, client.pause, client.resume, client.delete, client.wait, client.failures,
    )  # fmt: skip
    wrong: tuple[Any, ...] = (None, 7, b"a", 1.5, [7], [["a"]])
    for verb in verbs:
        for reference in wrong:
            with pytest.raises(TrackerError, match=r"named by|given as"):
                list(verb(reference))
    assert client.count(status="Waiting") == 2


def test_a_partition_id_is_a_string(client: Client) -> None:
    wrong: tuple[Any, ...] = (None, 7, b"p", [7], [None])
    for verb in (client.suspend_partition, client.resume_partition):
        for given in wrong:
            with pytest.raises(TrackerError, match=r"(IDs are given as|ID is) (null|a number|of the Python)"):
                verb(given)
    assert client.list_partitions() == []


def test_what_is_asked_for_is_checked_too(client: Client) -> None:
    wrong: tuple[tuple[str, Any], ...] = (
        ("partition_id", 7), ("prefix", 7), ("status", 7), ("status", [7]), ("status", None), ("label", 7),
        ("label", [None]), ("limit", "7"), ("limit", None), ("limit", True), ("limit", 1.5), ("sort", None),
        ("sort", 7),
    )  # fmt: skip
    for option, value in wrong:
        with pytest.raises(TrackerError, match=rf"{option.split('_')[0]}.* (is|are given as) "):
            client.list(**{option: value})
    client.submit([job("a")])
    timeouts: tuple[Any, ...] = ("7", True, float("nan"))
    for timeout in timeouts:
        with pytest.raises(InvalidQuery, match="timeout is"):
            client.wait("a", timeout)


def test_what_a_client_is_made_of_is_checked() -> None:
    wrong: tuple[dict[str, Any], ...] = (
        {"database_url": None}, {"database_url": 7}, {"database_url": b"x"}, {"max_connections": 0},
        {"max_connections": "4"}, {"max_connections": None}, {"max_connections": True},
        {"max_connections": 1.5},
    )  # fmt: skip
    for arguments in wrong:
        for kind in (Client, AsyncClient):
            with pytest.raises(TrackerError, match=r"^(the database URL|max_connections) is "):
                kind(**arguments)
