"""Checks every field of a submitted job, by the same code for a program's objects and for JSON.

A job comes as a `NewJob`, as a mapping with the fields of its JSON, or as JSON text. All become a `NewJob`,
whose fields can hold anything until `check` has looked at each. Messages name a field as JSON does, and
never contain Python's own text about a wrong type.

The limits are this project's own where the database or Kafka would set one anyway: an index entry of
PostgreSQL has at most 2,704 bytes, and a topic takes records of 1 MB unless it is configured otherwise.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any, NoReturn, TypeVar, cast

import msgspec

from tracker.identifiers import (
    DEFAULT_PARTITION_ID,
    BadIdentifier,
    JobName,
    check_job_name,
    quote,
)
from tracker.jobs.job import NewJob, NewTask

MAX_NAME_CHARS = 255
MAX_TEXT_CHARS = 1_000_000
MAX_LABEL_VALUE_CHARS = 500
MAX_DELAY_S = 10 * 365 * 24 * 3600
MAX_API_VERSION = 2**31 - 1
PRE_CREATED = ",pc"

_LABEL_KEY = re.compile(r"[A-Za-z0-9_:-]{1,255}")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")

Given = TypeVar("Given", NewJob, NewTask)


class InvalidField(Exception):
    """Why a job cannot be accepted: a sentence that names the field."""


class CheckedJob(msgspec.Struct, frozen=True, gc=False):
    """A job whose fields all have the right types and keep the rules; the task data is still to be read."""

    name: JobName
    job: NewJob
    task: NewTask
    labels: Mapping[str, str | None]
    prerequisites: dict[str, bool]  # job ID → whether it may be gone already
    delay_s: int


def check(given: object) -> CheckedJob:
    """Check a `NewJob`, or a mapping with the fields of its JSON.

    :raises InvalidField: it is neither, or breaks a rule.
    """
    job, task = find_fields(given)
    _check_texts(job, task)
    _check_number("taskApiVersion", task.task_api_version, MAX_API_VERSION)
    delay_s = 0 if job.delay is None else job.delay
    _check_number("delay", delay_s, MAX_DELAY_S)
    _check_topic("taskPipe", task.task_pipe)
    if task.target_pipe is not None:
        _check_topic("targetPipe", task.target_pipe)
    return CheckedJob(
        _check_name(job),
        job,
        task,
        _check_labels(job.labels) if job.labels else _nothing("labels", job.labels, Mapping),
        check_prerequisites(job.prerequisite_job_ids)
        if job.prerequisite_job_ids
        else _nothing("prerequisiteJobIds", job.prerequisite_job_ids, list | tuple | AbstractSet),
        delay_s,
    )


def find_fields(given: object) -> tuple[NewJob, NewTask]:
    """Return what was given for each field, whatever it is.

    :raises InvalidField: it is not an object, a field is missing, or there is one that jobs do not have.
    """
    job = given if isinstance(given, NewJob) else _from_mapping(given, NewJob)
    return job, job.task if isinstance(job.task, NewTask) else _from_mapping(job.task, NewTask, "task")


def kind_of(value: object) -> str:
    """Return what a value is, in the words of JSON where it has one for it."""
    if value is None:
        return "null"
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return f"of the Python type {type(value).__name__}"


_KINDS: tuple[tuple[Any, str], ...] = (
    (bool, "a boolean"),
    (int | float, "a number"),
    (str, "a string"),
    (Mapping, "an object"),
    (list | tuple, "a list"),
)


def _from_mapping(given: object, shape: type[Given], field_name: str = "") -> Given:
    """Make a `NewJob` or `NewTask` of a mapping with the fields of its JSON, whatever these hold."""
    if not isinstance(given, Mapping):
        raise InvalidField(f"{field_name or 'the job'} is {kind_of(given)}, not an object")
    inside = f" in {field_name}" if field_name else ""
    names, required = _fields(shape)
    for field in given:
        if field not in names:
            text = field if isinstance(field, str) else repr(field)
            raise InvalidField(f"unknown field {text}{inside}")
    for field in required:
        if field not in given:
            raise InvalidField(f"missing required field {field}{inside}")
    return shape(**{names[field]: value for field, value in given.items()})


@lru_cache(2)
def _fields(shape: type[NewJob] | type[NewTask]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the names in Python by those in JSON, and which of these must be there."""
    fields = msgspec.structs.fields(shape)
    return (
        {field.encode_name: field.name for field in fields},
        tuple(field.encode_name for field in fields if field.required),
    )


def _check_name(job: NewJob) -> JobName:
    partition_id = _text(
        "partitionId", DEFAULT_PARTITION_ID if job.partition_id is None else job.partition_id
    )
    job_id = _text("id", job.id)
    try:
        return check_job_name(partition_id, job_id)
    except BadIdentifier as error:
        elsewhere = ":" in job_id and ":" not in partition_id
        hint = "; the partition ID has a field of its own, partitionId" if elsewhere else ""
        raise InvalidField(f"{error}{hint}") from None


def _check_texts(job: NewJob, task: NewTask) -> None:
    for field, value, most in (
        ("name", job.name, MAX_NAME_CHARS),
        ("description", job.description, MAX_TEXT_CHARS),
        ("externalData", job.external_data, MAX_TEXT_CHARS),
    ):
        if value is not None:
            _check_text(field, value, most)
    _check_text("taskClassifier", task.task_classifier, MAX_NAME_CHARS)


def _text(field: str, value: object) -> str:
    return value if isinstance(value, str) else _wrong_type(field, value, "a string")


def _check_text(field: str, value: object, most: int) -> None:
    if not isinstance(value, str):
        _wrong_type(field, value, "a string")
    if len(value) > most:
        raise InvalidField(f"{field} has {len(value):,} characters, at most {most:,} are allowed")


def _check_number(field: str, value: object, most: int) -> None:
    if type(value) is not int:
        detail = f"{value!r:.100}" if isinstance(value, float) else kind_of(value)
        raise InvalidField(f"{field} is {detail}, not a whole number from 0 to {most:,}")
    if not 0 <= value <= most:
        raise InvalidField(f"{field} is not a whole number from 0 to {most:,}")


def _check_topic(field: str, topic: object) -> None:
    if not isinstance(topic, str):
        _wrong_type(field, topic, "a string")
    _check_topic_name(field, topic)


@lru_cache(1024)  # the jobs of a call go to few topics; a refusal is not kept
def _check_topic_name(field: str, topic: str) -> None:
    if not _TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise InvalidField(
            f"{field} is not a legal topic name: {quote(topic)}"
            " (1 to 249 of letters, digits, '.', '_' and '-'; neither '.' nor '..')"
        )
    if topic.startswith("__"):
        raise InvalidField(f"{field} is an internal topic of Kafka: {quote(topic)}")


def _check_labels(labels: object) -> Mapping[str, str | None]:
    if not isinstance(labels, Mapping):
        _wrong_type("labels", labels, "an object")
    for key, value in labels.items():
        if not isinstance(key, str):
            _wrong_type("a label key", key, "a string")
        if not _LABEL_KEY.fullmatch(key):
            raise InvalidField(f"the label key {key!r:.300} does not match {_LABEL_KEY.pattern}")
        if value is None:
            continue
        if not isinstance(value, str):
            _wrong_type(f"the label {key}", value, "a string")
        if len(value) > MAX_LABEL_VALUE_CHARS:
            raise InvalidField(
                f"the label {key} has {len(value):,} characters, at most {MAX_LABEL_VALUE_CHARS} are allowed"
            )
    return cast("Mapping[str, str | None]", labels)


def check_prerequisites(job_ids: object) -> dict[str, bool]:
    """Return each prerequisite once, and whether it may be gone already.

    :raises InvalidField: they are no list of strings, or one is malformed.
    """
    if not isinstance(job_ids, list | tuple | AbstractSet):
        _wrong_type("prerequisiteJobIds", job_ids, "a list of strings")
    prerequisites: dict[str, bool] = {}
    for text in job_ids:
        if not isinstance(text, str):
            _wrong_type("a prerequisite job ID", text, "a string")
        job_id = text.removesuffix(PRE_CREATED)
        if not job_id.strip():
            raise InvalidField("a prerequisite job ID is blank")
        try:
            check_job_name(DEFAULT_PARTITION_ID, job_id)
        except BadIdentifier as error:
            raise InvalidField(_explain_prerequisite(text, job_id, error)) from None
        may_be_gone = job_id != text
        if prerequisites.setdefault(job_id, may_be_gone) != may_be_gone:
            raise InvalidField(f"the prerequisite {job_id} is given both with and without {PRE_CREATED}")
    return prerequisites


def _explain_prerequisite(text: str, job_id: str, error: BadIdentifier) -> str:
    if ":" in job_id:
        return (
            f"the prerequisite {quote(text)} has ':' at character {text.index(':') + 1:,}: prerequisites are"
            " jobs of the same partition ID, and are named by their job IDs alone"
        )
    return f"a prerequisite is not of the form jobId or jobId{PRE_CREATED}: {error}"


def _nothing(field: str, value: object, types: Any) -> dict[str, Any]:
    """Return the empty value of a field that is absent, null or empty."""
    if value is not None and not isinstance(value, types):
        _wrong_type(field, value, "an object" if types is Mapping else "a list of strings")
    return {}


def _wrong_type(field: str, value: object, expected: str) -> NoReturn:
    raise InvalidField(f"{field} is {kind_of(value)}, not {expected}")
