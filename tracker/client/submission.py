"""Checks submitted jobs, before the database is asked anything.

The limits are this project's own where the database or Kafka would set one anyway: an index entry of
PostgreSQL has at most 2,704 bytes, and a topic takes records of 1 MB unless it is told otherwise.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from tracker.client.job import NewJob, NewTask
from tracker.errors import JobConflict, JobRefused
from tracker.identifiers import BadIdentifier, JobName, parse_job_name

MAX_NAME_CHARS = 255
MAX_TEXT_CHARS = 1_000_000
MAX_LABEL_VALUE_CHARS = 500
MAX_TASK_DATA_BYTES = 740_000  # base64 makes 4 of 3 bytes, and the message has to stay below 1,000,000
MAX_DELAY_S = 10 * 365 * 24 * 3600
MAX_API_VERSION = 2**31 - 1
PROBLEMS_SHOWN = 10

_LABEL_KEY = re.compile(r"[A-Za-z0-9_:-]{1,255}")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_PRE_CREATED = ",pc"
_COMPACT = msgspec.json.Encoder()
_CANONICAL = msgspec.json.Encoder(order="sorted")

Describe = Callable[[int], str]
"""What to call the job at an index of the call in an error message."""


class AcceptedJob(msgspec.Struct, frozen=True, gc=False):
    """A job that can be stored as it is."""

    name: JobName
    job: NewJob
    task_data: bytes
    prerequisites: dict[str, bool]  # job ID → whether it may be gone already
    content_hash: bytes


class _Refused(Exception):
    """Why one job is refused."""


def accept(jobs: Iterable[NewJob | Mapping[str, Any]], describe: Describe) -> dict[JobName, AcceptedJob]:
    """Check the jobs of a call and return each once, in their order.

    :raises JobRefused: a job breaks a rule; the text names the first few and what is wrong with them.
    :raises JobConflict: a job is given twice with different content.
    """
    accepted: dict[JobName, AcceptedJob] = {}
    refused: list[str] = []
    conflicting: list[str] = []
    for index, job in enumerate(jobs):
        try:
            candidate = _accept_one(job)
        except _Refused as error:
            refused.append(f"{describe(index)}{_known_name(job)}: {error}")
            continue
        first = accepted.setdefault(candidate.name, candidate)
        if first.content_hash != candidate.content_hash:
            conflicting.append(str(candidate.name))
    if refused:
        raise JobRefused(some_of(refused, "; "))
    if conflicting:
        raise JobConflict(f"given twice in one call, with different content: {some_of(conflicting)}")
    return accepted


def some_of(texts: Sequence[str], separator: str = ", ") -> str:
    """Return the first few of `texts`, and how many more there are."""
    shown = separator.join(texts[:PROBLEMS_SHOWN])
    left = len(texts) - PROBLEMS_SHOWN
    return f"{shown}{separator}and {left:,} more" if left > 0 else shown


def read_job_name(reference: object) -> JobName:
    """Read what a user calls a job: ``partitionId:jobId``, or ``jobId`` in the partition ``default``.

    :raises BadIdentifier: it is malformed, or no text that could be stored.
    """
    text = str(reference)
    if "\0" in text or (not text.isprintable() and _is_cut(text)):
        raise BadIdentifier(f"{text[:100]!a} is no job's name: it has a NUL, or half a character")
    return parse_job_name(text)


def read_partition_id(text: str) -> str:
    """Return a partition ID as it is.

    :raises BadIdentifier: it is malformed, or no text that could be stored.
    """
    return read_job_name(f"{text}:any").partition_id


def _accept_one(given: NewJob | Mapping[str, Any]) -> AcceptedJob:
    try:
        return _check(given if isinstance(given, NewJob) else msgspec.convert(given, NewJob))
    except msgspec.ValidationError as error:
        raise _Refused(plain(error)) from None
    except BadIdentifier as error:
        raise _Refused(printable(str(error))) from None
    except RecursionError:
        raise _Refused("taskData is nested too deeply") from None
    except (AttributeError, TypeError, ValueError, OverflowError) as error:  # only Python's callers get here
        raise _Refused(f"a field has a wrong type: {printable(str(error))}") from None


def _check(job: NewJob) -> AcceptedJob:
    name = parse_job_name(f"{job.partition_id}:{job.id}")
    for field, value, most in _texts(job):
        if not isinstance(value, str):
            raise _Refused(f"{field} is not a string")
        if len(value) > most:
            raise _Refused(f"{field} has {len(value):,} characters, at most {most:,} are allowed")
    _check_number("delay", job.delay, MAX_DELAY_S)
    _check_number("taskApiVersion", job.task.task_api_version, MAX_API_VERSION)
    _check_topic("taskPipe", job.task.task_pipe)
    _check_topic("targetPipe", job.task.target_pipe)
    _check_labels(job.labels)
    prerequisites = _read_prerequisites(job.prerequisite_job_ids) if job.prerequisite_job_ids else {}
    try:
        task_data, content_hash = _encode(job, prerequisites)
    except UnicodeEncodeError:
        raise _Refused(_find_flaw(job) or "taskData has a lone surrogate, which is no character") from None
    return AcceptedJob(name, job, task_data, prerequisites, content_hash)


def plain(error: Exception) -> str:
    """Return what msgspec says of bad content, without its markup."""
    text = re.sub(r" - at `\$\.?(.*)`$", r" in \1", str(error), flags=re.DOTALL)
    return printable(text.removesuffix(" in ").replace("`", ""))


def printable(text: str) -> str:
    """Return a text as it is, but for what a terminal would act on, or could not show."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _texts(job: NewJob) -> Iterable[tuple[str, object, int]]:
    task = job.task
    texts = (
        ("name", job.name, MAX_NAME_CHARS),
        ("description", job.description, MAX_TEXT_CHARS),
        ("externalData", job.external_data, MAX_TEXT_CHARS),
        ("taskClassifier", task.task_classifier, MAX_NAME_CHARS),
        ("taskPipe", task.task_pipe, MAX_NAME_CHARS),
        ("targetPipe", task.target_pipe or "", MAX_NAME_CHARS),
    )
    if not job.prerequisite_job_ids:
        return texts
    return (*texts, *(("a prerequisite job ID", text, MAX_NAME_CHARS) for text in job.prerequisite_job_ids))


def _check_number(field: str, value: int, most: int) -> None:
    if type(value) is not int or not 0 <= value <= most:
        raise _Refused(f"{field} is not a whole number from 0 to {most:,}")


@lru_cache(1024)  # the jobs of a call go to few topics; a refusal is not kept
def _check_topic(field: str, topic: str | None) -> None:
    if topic is None:
        return
    if not _TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise _Refused(f"{field} is not a legal topic name: {topic[:100]!r}")
    if topic.startswith("__"):
        raise _Refused(f"{field} is an internal topic of Kafka: {topic[:100]!r}")


def _check_labels(labels: Mapping[str, object]) -> None:
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key):
            raise _Refused(f"the label key {key!r:.300} does not match {_LABEL_KEY.pattern}")
        if not isinstance(value, str) or len(value) > MAX_LABEL_VALUE_CHARS:
            raise _Refused(f"the label {key} is not a string of at most {MAX_LABEL_VALUE_CHARS} characters")


def _read_prerequisites(job_ids: Sequence[str]) -> dict[str, bool]:
    """Return each prerequisite once, and whether it may be gone already."""
    if isinstance(job_ids, str):
        raise _Refused("prerequisiteJobIds is a string, not a list of them")
    prerequisites: dict[str, bool] = {}
    for text in job_ids:
        job_id = text.removesuffix(_PRE_CREATED)
        if not job_id.strip():
            raise _Refused("a prerequisite job ID is blank")
        try:
            parse_job_name(f"default:{job_id}")
        except BadIdentifier as error:
            raise _Refused(f"a prerequisite is not of the form jobId or jobId,pc: {error}") from None
        may_be_gone = job_id != text
        if prerequisites.setdefault(job_id, may_be_gone) != may_be_gone:
            raise _Refused(f"the prerequisite {job_id} is given both with and without {_PRE_CREATED}")
    return prerequisites


def _encode(job: NewJob, prerequisites: dict[str, bool]) -> tuple[bytes, bytes]:
    """Return the task data as it is sent, and the hash of all that was submitted, in whatever order."""
    task_data = _read_task_data(job.task)
    if len(task_data) > MAX_TASK_DATA_BYTES:
        raise _Refused(
            f"taskData has {len(task_data):,} bytes, at most {MAX_TASK_DATA_BYTES:,} fit in a message"
        )
    canonical = msgspec.structs.replace(job, prerequisite_job_ids=()) if prerequisites else job
    content = _CANONICAL.encode((canonical, sorted(prerequisites.items())))
    # An escaped NUL is in the JSON of every text that has one, and of few that have not.
    if b"\\u0000" in content and (flaw := _find_flaw(job)):
        raise _Refused(flaw)
    return task_data, hashlib.blake2b(content, digest_size=16).digest()


def _read_task_data(task: NewTask) -> bytes:
    data: object = task.task_data
    if task.task_data_encoding not in ("utf8", "base64"):
        raise _Refused(f"taskDataEncoding is {task.task_data_encoding[:100]!r}, neither utf8 nor base64")
    if isinstance(data, dict):
        return _COMPACT.encode(data)
    if not isinstance(data, str):
        raise _Refused("taskData is neither an object nor a string")
    if task.task_data_encoding == "utf8":
        return data.encode()
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise _Refused("taskData is not base64") from None


def _find_flaw(job: NewJob) -> str | None:
    """Say which text PostgreSQL could not store. The task data may have a NUL: there it is bytes."""
    texts = [("partitionId", job.partition_id), ("id", job.id)]
    texts += [(field, str(value)) for field, value, _ in _texts(job)]
    texts += [(f"the label {key}", value) for key, value in job.labels.items()]
    for field, text in texts:
        if "\0" in text:
            return f"{field} has a NUL character"
        if _is_cut(text):
            return f"{field} has a lone surrogate, which is no character"
    return None


def _is_cut(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _known_name(job: object) -> str:
    """Return the job's name for an error message, as far as there is one."""
    if isinstance(job, Mapping):
        partition_id, job_id = job.get("partitionId", "default"), job.get("id")
    else:
        partition_id, job_id = getattr(job, "partition_id", None), getattr(job, "id", None)
    if not isinstance(partition_id, str) or not isinstance(job_id, str):
        return ""
    name = f"{partition_id[:40]}:{job_id[:48]}"
    return f" ({printable(name)})"
