"""The form in which tasks are stored: those among 32 siblings that are more than a bit, in one row.

The comment on the table (``0007_sibling_tasks.sql``) describes this form. A row is read and written as a
whole, but only the tasks that a batch touches are decoded.
"""

from collections import defaultdict
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


class NeededTasks:
    """Tasks that are to be loaded, and the rows that have them."""

    def __init__(self, needs: Iterable[JobNeeds]) -> None:
        self.missing_rows: list[SiblingsKey] = []
        self._places = []
        for job, paths, _ in needs:
            siblings = job.siblings
            for path in paths:
                parent_path, child = parent_of(path)
                place = parent_path, child // SIBLINGS
                self._places.append((job, path, place, child))
                if place not in siblings:
                    siblings[place] = StoredSiblings()  # unless the database has the row
                    self.missing_rows.append((job.tenant_key, job.job_key, *place))

    def decode(self) -> None:
        """Put the tasks, with their blocks 0, into the states of their jobs. All rows are loaded now."""
        for job, path, place, child in self._places:
            encoded = job.siblings[place].tasks.get(child)
            if encoded is not None:
                *values, completed, tracked = _decode_task(encoded)
                job.tasks[path] = TaskState(*values, parent_path=place[0], child=child, stored=True)
                job.blocks[path, 0] = decode_block(completed, tracked)


def keep_row(job: JobState, path: str, number: int, tasks: bytes, unknown: int) -> None:
    """Keep a row as it is stored."""
    job.siblings[path, number] = StoredSiblings(cast("dict[int, bytes]", _decode_row(tasks)), unknown)


def read_tasks(path: str, tasks: bytes) -> dict[int, tuple[TaskState, Block]]:
    """Return the tasks of a row below `path`, with their blocks 0, by the numbers of the children."""
    found = {}
    for child, encoded in _decode_row(tasks).items():
        *values, completed, tracked = _decode_task(encoded)
        task = TaskState(*values, parent_path=path, child=child)
        found[child] = task, decode_block(completed, tracked)
    return found


def changed_rows(changes: Iterable[JobChanges]) -> tuple[list[SiblingsRow], list[SiblingsKey]]:
    """Return the rows to be written, and the keys of those that have no task left.

    :raises KeyError: a row was not loaded, so that to write it would lose its other tasks.
    """
    stored, removed = [], []
    for change in changes:
        job = change.job
        for place, siblings in _changed_siblings(change).items():
            if siblings.tasks:
                encoded = _encode(siblings.tasks)
                stored.append(SiblingsRow(job.tenant_key, job.job_key, *place, encoded, siblings.unknown))
            else:
                removed.append((job.tenant_key, job.job_key, *place))
    return stored, removed


def _changed_siblings(change: JobChanges) -> dict[tuple[str, int], StoredSiblings]:
    """Put changed tasks into their rows, and take removed ones out; return these rows."""
    changed: dict[tuple[str, int], StoredSiblings] = {}
    job = change.job
    if job.status is JobStatus.WAITING:  # nothing is stored of its tasks, so nothing was loaded
        job.siblings = defaultdict(StoredSiblings)
    for path in change.tasks:
        task = job.tasks[path]
        child = task.child
        place = task.parent_path, child // SIBLINGS
        siblings = changed[place] = job.siblings[place]
        siblings.tasks[child] = _encode_task(task, job.blocks.get((path, 0), _NO_BITS))
        bit = 1 << (child % SIBLINGS)
        if task.highest_child and not task.last_child:
            siblings.unknown |= bit
        else:
            siblings.unknown &= ~bit
    for path in change.removed_tasks:
        parent_path, child = parent_of(path)
        place = parent_path, child // SIBLINGS
        siblings = changed[place] = job.siblings[place]
        siblings.tasks.pop(child, None)
        siblings.unknown &= ~(1 << (child % SIBLINGS))
    return changed


def decode_block(completed: bytes, tracked: bytes) -> Block:
    """Return a block that is stored as these bits."""
    return Block(int.from_bytes(completed, "little"), int.from_bytes(tracked, "little"))


def bits_to_bytes(bits: int) -> bytes:
    """Return the bits of a block as they are stored."""
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little") if bits else b""


def _encode_task(task: TaskState, block: Block) -> msgspec.Raw:
    values = (
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
    return msgspec.Raw(_encode(values))
