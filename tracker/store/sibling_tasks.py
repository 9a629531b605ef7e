"""The form in which tasks are stored: those among 32 siblings that are more than a bit, in one row.

The comment on the table (``0007_sibling_tasks.sql``) describes this form. A row is read and written as a
whole, but only the tasks that a batch touches are decoded.
"""

from collections.abc import Iterable
from typing import NamedTuple, cast

import msgspec

from tracker.fold.state import Block, JobChanges, JobNeeds, JobState, StoredSiblings, TaskState
from tracker.identifiers import parent_of
from tracker.job_status import JobStatus

SIBLINGS = 32  # the comment on the table gives the number too

_Task = tuple[int, bool, int, int, int, int, int, bytes, bytes]
_encode = msgspec.msgpack.Encoder().encode
_decode_task = msgspec.msgpack.Decoder(_Task).decode
_decode_row = msgspec.msgpack.Decoder(dict[int, msgspec.Raw]).decode
_NO_BITS = Block()


class SiblingsRow(NamedTuple):
    """A row to be written."""

    tenant_key: int
    job_key: int
    path: str
    number: int
    tasks: bytes
    unknown: int


SiblingsKey = tuple[int, int, str, int]
"""The key of a row: tenant_key, job_key, path, number."""


def missing_rows(needs: Iterable[JobNeeds]) -> list[SiblingsKey]:
    """Return the rows that have the tasks and are not loaded; from now on, they count as loaded and empty."""
    missing = []
    for job, paths, _ in needs:
        for path in paths:
            place, _ = _place_of(path)
            if place not in job.siblings:
                job.siblings[place] = StoredSiblings({})
                missing.append((job.tenant_key, job.job_key, *place))
    return missing


def keep_row(job: JobState, path: str, number: int, tasks: bytes, unknown: int) -> None:
    """Keep a row as it is stored."""
    # The values are Raw, which is what makes bytes of them.
    job.siblings[path, number] = StoredSiblings(cast("dict[int, bytes]", _decode_row(tasks)), unknown)


def decode_tasks(needs: Iterable[JobNeeds]) -> None:
    """Put the tasks that are needed into the states of their jobs, with their blocks 0."""
    for job, paths, _ in needs:
        siblings = job.siblings
        for path in paths:
            place, child = _place_of(path)
            encoded = siblings[place].tasks.get(child)
            if encoded is not None:
                *values, completed, tracked = _decode_task(encoded)
                job.tasks[path] = TaskState(*values, stored=True)
                job.blocks[path, 0] = Block(
                    int.from_bytes(completed, "little"), int.from_bytes(tracked, "little")
                )


def changed_rows(changes: Iterable[JobChanges]) -> tuple[list[SiblingsRow], list[SiblingsKey]]:
    """Return the rows to be written, and the keys of those that have no task left.

    :raises KeyError: a row was not loaded, so that to write it would lose its other tasks.
    """
    stored, removed = [], []
    for change in changes:
        job = change.job
        touched = _put_tasks(job, change.tasks) | _remove_tasks(job, change.removed_tasks)
        for place in touched:
            siblings = job.siblings[place]
            if siblings.tasks:
                encoded = _encode(siblings.tasks)
                stored.append(SiblingsRow(job.tenant_key, job.job_key, *place, encoded, siblings.unknown))
            else:
                removed.append((job.tenant_key, job.job_key, *place))
    return stored, removed


def _put_tasks(job: JobState, paths: Iterable[str]) -> set[tuple[str, int]]:
    touched = set()
    for path in paths:
        place, child = _place_of(path)
        siblings, task = _loaded(job, place), job.tasks[path]
        siblings.tasks[child] = msgspec.Raw(_encode(_values(task, job.blocks.get((path, 0), _NO_BITS))))
        bit = 1 << (child % SIBLINGS)
        if task.highest_child and not task.last_child:
            siblings.unknown |= bit
        else:
            siblings.unknown &= ~bit
        touched.add(place)
    return touched


def _remove_tasks(job: JobState, paths: Iterable[str]) -> set[tuple[str, int]]:
    touched = set()
    for path in paths:
        place, child = _place_of(path)
        siblings = _loaded(job, place)
        siblings.tasks.pop(child, None)
        siblings.unknown &= ~(1 << (child % SIBLINGS))
        touched.add(place)
    return touched


def bits_to_bytes(bits: int) -> bytes:
    """Return the bits of a block as they are stored."""
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def _place_of(path: str) -> tuple[tuple[str, int], int]:
    """Return the path and the number of the row that has a task, and the number of the child in it."""
    if not path:
        return ("", 0), 0
    parent_path, child = parent_of(path)
    return (parent_path, child // SIBLINGS), child


def _loaded(job: JobState, place: tuple[str, int]) -> StoredSiblings:
    if job.status is JobStatus.WAITING and place not in job.siblings:
        job.siblings[place] = StoredSiblings({})  # nothing is stored of its tasks, so nothing was loaded
    return job.siblings[place]


def _values(task: TaskState, block: Block) -> tuple[object, ...]:
    return (
        task.reported,
        task.failed,
        task.last_child,
        task.highest_child,
        task.completed_children,
        task.failed_children,
        task.children_percentage,
        bits_to_bytes(block.completed),
        bits_to_bytes(block.tracked),
    )
