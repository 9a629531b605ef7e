"""Jobs that break a rule: each is named with its reason, all at once, and nothing is stored."""

from typing import Any

import pytest
from msgspec import structs

from tests.support.jobs import TASK, as_json, job
from tracker import InvalidJob, NewJob
from tracker.jobs.fields import MAX_DELAY_S, MAX_LABEL_VALUE_CHARS, MAX_NAME_CHARS, MAX_TEXT_CHARS
from tracker.jobs.task_data import MAX_TASK_DATA_BYTES
from tracker.jobs.validation import accept


def describe(index: int) -> str:
    return f"job {index + 1}"


def with_task(**fields: Any) -> dict[str, Any]:
    task = as_json("a")["task"] | fields
    return as_json("a", task={key: value for key, value in task.items() if value is not ...})


REFUSED: dict[str, tuple[dict[str, Any] | NewJob, str]] = {
    "no id": ({"task": as_json("a")["task"]}, "missing required field id"),
    "no task": ({"id": "a"}, "missing required field task"),
    "no pipe": (with_task(taskPipe=...), "missing required field taskPipe in task"),
    "no data": (with_task(taskData=...), "missing required field taskData"),
    "an unknown field": (as_json("a", priority=1), "unknown field priority"),
    "an unknown field of the task": (with_task(extra=1), "unknown field extra in task"),
    "a number as id": (as_json("a") | {"id": 5}, "id is a number, not a string"),
    "a number as name": (as_json("a", name=5), "name is a number, not a string"),
    "an empty id": (job(""), "the job ID is empty"),
    "an id with a dot": (job("a.b"), "the job ID has '.' at character 2"),
    "a long id": (job("a" * 49), "the job ID has 49 characters, at most 48"),
    "an id with NUL": (job("a\0"), "id has a NUL"),
    "an id with half a character": (job("a\ud800"), "id has a lone surrogate"),
    "an empty partition ID": (job("a", partition_id=""), "the partition ID is empty"),
    "a long partition ID": (job("a", partition_id="p" * 41), "the partition ID has 41 characters"),
    "a partition ID with a colon": (job("a", partition_id="p:q"), "the partition ID has ':'"),
    "a partition ID with a star": (job("a", partition_id="*"), "the partition ID has '*'"),
    "an unknown field that a terminal would act on": (as_json("a") | {"\x1b[2J": 1}, r"field \x1b[2J"),
    "NUL in the name": (job("a", name="\0"), "name has a NUL"),
    "NUL in the description": (job("a", description="x\0"), "description has a NUL"),
    "NUL in the data": (job("a", external_data="x\0"), "externalData has a NUL"),
    "NUL in a label": (job("a", labels={"k": "\0"}), "label k has a NUL"),
    "NUL in the classifier": (with_task(taskClassifier="\0"), "taskClassifier has a NUL"),
    "half a character in the name": (job("a", name="\udfff"), "name has a lone surrogate"),
    "half a character in the data": (with_task(taskData={"x": "\ud83d"}), "taskData.x has a lone surrogate"),
    "a long name": (job("a", name="n" * (MAX_NAME_CHARS + 1)), "name has 256 characters, at most 255"),
    "a long text": (job("a", description="n" * (MAX_TEXT_CHARS + 1)), "description has 1,000,001 characters"),
    "a bad label key": (job("a", labels={"a b": "x"}), "label key 'a b'"),
    "an empty label key": (job("a", labels={"": "x"}), "label key ''"),
    "a long label": (
        job("a", labels={"k": "x" * (MAX_LABEL_VALUE_CHARS + 1)}),
        "label k has 501 characters, at most 500",
    ),
    "a label that is no string": (as_json("a", labels={"k": 1}), "the label k is a number, not a string"),
    "a negative delay": (job("a", delay=-1), "delay is not a whole number from 0"),
    "a long delay": (job("a", delay=MAX_DELAY_S + 1), "delay is not a whole number"),
    "a broken delay": (as_json("a", delay=1.5), "delay is 1.5, not a whole number"),
    "a boolean as delay": (job("a", delay=True), "delay is a boolean, not a whole number"),
    "a version out of range": (with_task(taskApiVersion=2**31), "taskApiVersion is not a whole number"),
    "a pipe that is no topic": (with_task(taskPipe="a/b"), "taskPipe is not a legal topic name"),
    "an empty pipe": (with_task(taskPipe=""), "taskPipe is not a legal topic name"),
    "a pipe named ..": (with_task(taskPipe=".."), "taskPipe is not a legal topic name"),
    "a long pipe": (with_task(taskPipe="x" * 250), "taskPipe is not a legal topic name"),
    "an internal pipe": (with_task(taskPipe="__consumer_offsets"), "taskPipe is an internal topic"),
    "an internal target": (with_task(targetPipe="__x"), "targetPipe is an internal topic"),
    "a target that is no topic": (with_task(targetPipe=" "), "targetPipe is not a legal topic name"),
    "data of another type": (with_task(taskData=[1]), "taskData"),
    "bad base64": (with_task(taskData="a", taskDataEncoding="base64"), "taskData is not base64"),
    "an unknown encoding": (with_task(taskData="a", taskDataEncoding="hex"), "neither utf8 nor base64"),
    "data that fits no message": (
        with_task(taskData="x" * (MAX_TASK_DATA_BYTES + 1)),
        "taskData has 740,001 bytes",
    ),
    "a blank prerequisite": (job("a", " "), "prerequisite job ID is blank"),
    "a prerequisite of only the mark": (job("a", ",pc"), "prerequisite job ID is blank"),
    "a prerequisite elsewhere": (job("a", "q:b"), "jobs of the same partition ID"),
    "another mark": (job("a", "b,xx"), "not of the form"),
    "both with and without the mark": (job("a", "b", "b,pc"), "both with and without ,pc"),
    "a string of prerequisites": (
        structs.replace(job("a"), prerequisite_job_ids="bc"),
        "prerequisiteJobIds is a string, not a list",
    ),
    "labels that are none": (job("a", labels=[]), "labels is a list, not an object"),
    "not a job": (5, "the job is a number, not an object"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize(("bad", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(bad: Any, reason: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        accept([bad], describe)
    text = str(caught.value)
    assert text.startswith("job 1")
    assert reason in text
    text.encode()
    assert "\0" not in text


def test_data_nested_too_deeply_is_refused() -> None:
    data: dict[str, Any] = {}
    for _ in range(100_000):
        data = {"x": data}
    with pytest.raises(InvalidJob, match="nested too deeply"):
        accept([with_task(taskData=data)], describe)
    while data:  # undone by hand: the collector would recurse
        data = data["x"]


def test_the_first_ten_are_named_and_the_others_counted() -> None:
    with pytest.raises(InvalidJob) as caught:
        accept([job("good"), *(job("bad", delay=-number) for number in range(1, 13))], describe)
    text = str(caught.value)
    assert "job 1 " not in text
    assert "job 2 (default:bad): delay" in text
    assert "job 11 (default:bad)" in text
    assert text.endswith("; and 2 more")


def test_limits_are_allowed() -> None:
    accepted = accept(
        [
            job(
                "j" * 48,
                *(f"{number}" * 20 for number in range(10)),
                partition_id="p" * 40,
                name="n" * MAX_NAME_CHARS,
                labels={"k" * 255: "v" * MAX_LABEL_VALUE_CHARS},
                delay=MAX_DELAY_S,
                task=TASK,
            )
        ],
        describe,
    )
    assert len(accepted) == 1
