"""The hash that tells whether a job that is submitted again has the same content.

It covers a fixed list of values, not the fields that `NewJob` happens to have: otherwise a new field would
turn every job that was stored before it into a conflict. A stored hash begins with the number of its version.
A program that writes a later version must still recognise the earlier ones, and must not write it while
programs run that do not know it.

Version 1, 16 bytes without a number, is what 0.1.0 wrote: a hash of the submitted fields with their
defaults, in which task data given as an object and as its text differ.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tracker.jobs.fields import CheckedJob
from tracker.jobs.task_data import TaskData, canonical_json

VERSION = 2
_DIGEST_BYTES = 16

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def hash_content(checked: CheckedJob, data: TaskData) -> tuple[bytes, bytes]:
    """Return the hash of a job's content, and the JSON of all texts that the database is to store.

    Null, absent and empty are the same, except for a label's value. A change of the result is a new version.
    """
    job, task = checked.job, checked.task
    texts = _encode(
        (
            checked.name,
            job.name or "",
            job.description or "",
            job.external_data or "",
            sorted(checked.labels.items()),
            task.task_classifier,
            task.task_api_version,
            task.task_pipe,
            task.target_pipe or "",
            sorted(checked.prerequisites.items()),
            checked.delay_s,
            "bytes" if data.canonical is None else "object",
        )
    )
    # The JSON ends where its bracket closes, so what follows needs no length before it.
    digest = hashlib.blake2b(texts, digest_size=_DIGEST_BYTES)
    digest.update(data.sent if data.canonical is None else data.canonical)
    return bytes((VERSION,)) + digest.digest(), texts


def has_content(stored_hash: bytes, present_hash: bytes, checked: CheckedJob, task_data: bytes) -> bool:
    """Return whether a stored job has the content of a submitted one, whichever version stored it."""
    if len(stored_hash) == _DIGEST_BYTES:
        return stored_hash in _hashes_of_version_1(checked, task_data)
    return stored_hash == present_hash


class _Task(msgspec.Struct, rename="camel", gc=False):
    """The fields of a task in 0.1.0."""

    task_classifier: str
    task_api_version: int
    task_data: object
    task_data_encoding: str
    task_pipe: str
    target_pipe: str | None


class _Job(msgspec.Struct, rename="camel", gc=False):
    """The fields of a job in 0.1.0."""

    id: str
    task: _Task
    partition_id: str
    name: str
    description: str
    external_data: str
    labels: Mapping[str, str | None]
    delay: int
    prerequisite_job_ids: tuple[str, ...] = ()


def _hashes_of_version_1(checked: CheckedJob, task_data: bytes) -> Iterator[bytes]:
    """Return the hashes that 0.1.0 may have stored for this content, one for each form of its task data."""
    for form_of_data, encoding in _forms_of_version_1(checked, task_data):
        job, task = checked.job, checked.task
        form = _Job(
            id=checked.name.job_id,
            partition_id=checked.name.partition_id,
            name=job.name or "",
            description=job.description or "",
            external_data=job.external_data or "",
            labels=checked.labels,
            delay=checked.delay_s,
            task=_Task(
                task.task_classifier,
                task.task_api_version,
                form_of_data,
                encoding,
                task.task_pipe,
                task.target_pipe,
            ),
        )
        content = _encode_sorted((form, sorted(checked.prerequisites.items())))
        yield hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()


def _forms_of_version_1(checked: CheckedJob, data: bytes) -> Iterator[tuple[Any, str]]:
    given, encoding = checked.task.task_data, checked.task.task_data_encoding
    if isinstance(given, str):
        yield given, encoding or "utf8"
    if canonical_json(data) is not None:
        try:
            yield msgspec.json.decode(data), "utf8"  # an object, its numbers rounded as 0.1.0 did
        except msgspec.DecodeError:
            return
    try:
        yield data.decode(), "utf8"
    except UnicodeDecodeError:
        yield base64.b64encode(data).decode(), "base64"
