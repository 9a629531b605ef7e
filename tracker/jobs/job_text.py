"""Reads jobs from JSON text, so that task data is sent byte for byte as it was written.

Decoding and encoding a document changes it: numbers of more than 17 digits are rounded, and the first of
two equal keys is lost. So task data stays text, and the rest is checked as any other mapping is.
"""

import json
from typing import Any

import msgspec

from tracker.identifiers import quote
from tracker.jobs.fields import InvalidField, find_fields
from tracker.jobs.job import NewJob, NewTask


class _TaskText(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    task_classifier: Any
    task_api_version: Any
    task_data: msgspec.Raw
    task_pipe: Any
    task_data_encoding: Any = None
    target_pipe: Any = None


class _JobText(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    id: Any
    task: _TaskText
    partition_id: Any = None
    name: Any = None
    description: Any = None
    external_data: Any = None
    labels: Any = None
    prerequisite_job_ids: Any = None
    delay: Any = None


_decode = msgspec.json.Decoder(_JobText).decode
# msgspec keeps the last of equal keys. Here an object becomes a tuple of pairs; nothing else becomes a tuple.
_decode_pairs = json.JSONDecoder(object_pairs_hook=tuple, parse_int=str, parse_float=str, strict=False).decode


def read_job(text: bytes | msgspec.Raw) -> NewJob:
    """Read a job; task data that is an object is returned as the text in the input.

    :raises ValueError: it is not JSON, or not UTF-8.
    :raises RecursionError: it is nested too deeply.
    :raises InvalidField: it is not an object, does not have the fields of a job, or has one of them twice.
    """
    try:
        given = _decode(text)
    except msgspec.ValidationError:
        _refuse_equal_keys(bytes(text).decode())
        find_fields(msgspec.json.decode(text))  # says what is wrong, as for any mapping
        raise
    _refuse_equal_keys(bytes(text).decode())
    task = given.task
    data, encoding = _read_data(task.task_data, task.task_data_encoding)
    return NewJob(
        id=given.id,
        partition_id=given.partition_id,
        name=given.name,
        description=given.description,
        external_data=given.external_data,
        labels=given.labels,
        prerequisite_job_ids=given.prerequisite_job_ids,
        delay=given.delay,
        task=NewTask(
            task_classifier=task.task_classifier,
            task_api_version=task.task_api_version,
            task_data=data,
            task_data_encoding=encoding,
            task_pipe=task.task_pipe,
            target_pipe=task.target_pipe,
        ),
    )


def _read_data(data: msgspec.Raw, encoding: Any) -> tuple[Any, Any]:
    """Return the task data, an object as its text, and the encoding, which does not count for an object."""
    text = bytes(data)
    if not text.startswith(b"{"):
        return msgspec.json.decode(text), encoding
    return text.decode(), None if encoding == "base64" else encoding


def _refuse_equal_keys(text: str) -> None:
    """Refuse a job with equal keys; those within its task data are the worker's affair."""
    job = _decode_pairs(text)
    fields = dict(job) if isinstance(job, tuple) else {}
    for kind, pairs, inside in (
        ("field", job, ""),
        ("field", fields.get("task"), " in task"),
        ("label", fields.get("labels"), ""),
    ):
        if isinstance(pairs, tuple) and len(pairs) != len(dict(pairs)):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InvalidField(f"the {kind} {quote(twice)}{inside} is given more than once")
