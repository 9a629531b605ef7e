"""Accepts or refuses the jobs of a submit, before the database is asked; reads names of jobs."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tracker.errors import InvalidJob, JobConflict
from tracker.identifiers import BadIdentifier, JobName, parse_job_name
from tracker.jobs.content_hash import has_content, hash_content
from tracker.jobs.fields import CheckedJob, InvalidField, check, kind_of
from tracker.jobs.job import ChangedJob, ChangedPrerequisites, Job, NewJob, NewTask, SubmittedJob
from tracker.jobs.task_data import read_task_data

PROBLEMS_SHOWN = 10

Describe = Callable[[int], str]
"""What to call the job at an index of the call in an error message."""


class AcceptedJob(msgspec.Struct, frozen=True, gc=False):
    """A job that can be stored as it is."""

    checked: CheckedJob
    task_data: bytes  # without its canonical form, which would double the memory of a large submit
    content_hash: bytes

    @property
    def name(self) -> JobName:
        """What identifies it."""
        return self.checked.name

    @property
    def job(self) -> NewJob:
        """The job as it was submitted."""
        return self.checked.job

    @property
    def task(self) -> NewTask:
        """Its task."""
        return self.checked.task

    @property
    def prerequisites(self) -> dict[str, bool]:
        """Job IDs, and whether each may be gone already."""
        return self.checked.prerequisites

    def has_content(self, stored_hash: bytes) -> bool:
        """Return whether a stored job with this hash has the same content."""
        return has_content(stored_hash, self.content_hash, self.checked, self.task_data)


def accept(jobs: Iterable[NewJob | Mapping[str, Any]], describe: Describe) -> dict[JobName, AcceptedJob]:
    """Check the jobs of a call, and return each once, in their order.

    :raises InvalidJob: a job breaks a rule; the text names the first few such jobs and what is wrong with
        them.
    :raises JobConflict: a job is given twice with different content.
    """
    if isinstance(jobs, str | bytes | Mapping | msgspec.Struct) or not isinstance(jobs, Iterable):
        raise InvalidJob(f"the jobs to submit are given as {kind_of(jobs)}, not as a list of jobs")
    accepted: dict[JobName, AcceptedJob] = {}
    refused: list[str] = []
    conflicting: list[str] = []
    for index, job in enumerate(jobs):
        try:
            candidate = _accept_one(job)
        except InvalidField as error:
            refused.append(f"{describe(index)}{known_name(job)}: {printable(str(error))}")
            continue
        first = accepted.setdefault(candidate.name, candidate)
        if first.content_hash != candidate.content_hash:
            conflicting.append(str(candidate.name))
    if refused:
        raise InvalidJob(some_of(refused, "; "))
    if conflicting:
        raise JobConflict(f"given twice in one call, with different content: {some_of(conflicting)}")
    return accepted


def some_of(texts: Sequence[str], separator: str = ", ") -> str:
    """Return the first few of `texts`, and how many more there are."""
    shown = separator.join(texts[:PROBLEMS_SHOWN])
    left = len(texts) - PROBLEMS_SHOWN
    return f"{shown}{separator}and {left:,} more" if left > 0 else shown


def read_job_name(reference: object) -> JobName:
    """Read the name of a job: ``partitionId:jobId``, or ``jobId`` in partition ID ``default``.

    :raises BadIdentifier: it is malformed, or PostgreSQL cannot store it.
    """
    if not isinstance(reference, str | Job | SubmittedJob | ChangedJob | ChangedPrerequisites | JobName):
        raise BadIdentifier(
            f"a job is named by {kind_of(reference)}, not by a string, or by a job that a verb has returned"
        )
    text = str(reference)
    if (position := find_unstorable(text)) is not None:
        raise BadIdentifier(
            f"{text[:1_000]!a} is no job's name: {_flaw(text[position])} at character {position + 1:,}"
        )
    return parse_job_name(text)


def read_partition_id(text: object) -> str:
    """Check a partition ID, and return it.

    :raises BadIdentifier: it is malformed, or PostgreSQL cannot store it.
    """
    if not isinstance(text, str):
        raise BadIdentifier(f"a partition ID is {kind_of(text)}, not a string")
    return read_job_name(f"{text}:any").partition_id


def _accept_one(given: object) -> AcceptedJob:
    checked = check(given)
    data = read_task_data(checked.task)
    try:
        content_hash, texts = hash_content(checked, data)
    except UnicodeEncodeError:
        raise InvalidField(_find_flaw(checked) or "a text has half a character") from None
    # The JSON of every text with a NUL has an escaped NUL, and that of few other texts.
    if b"\\u0000" in texts and (flaw := _find_flaw(checked)):
        raise InvalidField(flaw)
    return AcceptedJob(checked, data.sent, content_hash)


def plain(error: Exception) -> str:
    """Return msgspec's message about bad content, without its markup."""
    text = re.sub(r" - at `\$\.?(.*)`$", r" in \1", str(error), flags=re.DOTALL)
    return printable(text.removesuffix(" in ").replace("`", ""))


def printable(text: str) -> str:
    """Return a text with those characters escaped that a terminal would act on, or could not show."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def find_unstorable(text: str) -> int | None:
    """Return the position of the first NUL or half character, which PostgreSQL cannot store; or None."""
    if text.isprintable():
        return None
    return next((position for position, character in enumerate(text) if _flaw(character)), None)


def _flaw(character: str) -> str:
    if character == "\0":
        return "a NUL character"
    return "a lone surrogate, which is no character" if "\ud800" <= character <= "\udfff" else ""


def _find_flaw(checked: CheckedJob) -> str | None:
    """Name a text that PostgreSQL cannot store. Task data can have a NUL, because it is stored as bytes."""
    job = checked.job
    texts = [
        ("partitionId", checked.name.partition_id),
        ("id", checked.name.job_id),
        ("name", job.name),
        ("description", job.description),
        ("externalData", job.external_data),
        ("taskClassifier", checked.task.task_classifier),
    ]
    texts += [(f"the label {key}", value) for key, value in checked.labels.items()]
    texts += [(f"the prerequisite {job_id}", job_id) for job_id in checked.prerequisites]
    for field, text in texts:
        if text is not None and (position := find_unstorable(text)) is not None:
            return f"{field} has {_flaw(text[position])}"
    return None


def known_name(job: object) -> str:
    """Return the job's name for an error message, or nothing if it has none."""
    if isinstance(job, Mapping):
        partition_id, job_id = job.get("partitionId"), job.get("id")
    else:
        partition_id, job_id = getattr(job, "partition_id", None), getattr(job, "id", None)
    if partition_id is None:
        partition_id = "default"
    if not isinstance(partition_id, str) or not isinstance(job_id, str):
        return ""
    name = f"{partition_id[:40]}:{job_id[:48]}"
    return f" ({printable(name)})"
