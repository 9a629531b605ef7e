"""The walk through the stored tasks of a job that finds those that have not completed, as ranges.

It goes depth first, and keeps only what it needs next: blocks, as bits, and rows of siblings, in the form in
which they are stored. Blocks that nothing was written about are not stored, and cost nothing.
"""

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain, islice

from tracker.errors import InvalidQuery
from tracker.fold.state import BLOCK_CHILDREN, Block, TaskState, block_and_bit, children_in
from tracker.identifiers import JobName, Step, child_path
from tracker.job_status import JobStatus
from tracker.jobs.job import MissingState, MissingTasks
from tracker.store.queries import query
from tracker.store.sibling_tasks import SIBLINGS, decode_block, read_tasks
from tracker.store.steps import Query, Row

# A block has at most 1 KiB, and a row of siblings seldom has more than 4 KiB.
BLOCKS_AT_ONCE = 64
ROWS_AHEAD = 512
_RANGES_AT_ONCE = 1_000

_OPEN = re.compile("0+")
_OPEN_OR_TRACKED = re.compile("0+|t")

_RowKey = tuple[str, int]
"""The key of a row of siblings within its job: path of the parent, number."""

_Steps = Generator[Query | Sequence[MissingTasks], list[Row], None]


def find_unfinished(
    name: JobName, tenant_key: int, job_key: int, status: JobStatus, steps: tuple[Step, ...]
) -> _Steps:
    """Find the unfinished tasks at the end of `steps` and below it; without steps, those of the whole job.

    :raises InvalidQuery: there is no such task, because its parent is known to have fewer.
    """
    if status is not JobStatus.COMPLETED:
        tree = _Tree(name, tenant_key, job_key)
        yield from tree.find_under(steps) if steps else tree.find(status)
        yield tree.found


class _Ranges:
    """Collects the unfinished children of one task, in their order; neighbours in one state are one range."""

    __slots__ = ("_first", "_found", "_last", "_state", "parent")

    def __init__(self, parent: str, found: list[MissingTasks]) -> None:
        self.parent = parent
        self._found = found
        self._first = self._last = 0
        self._state = MissingState.MISSING

    def add(self, first: int, last: int, state: MissingState) -> None:
        """Add children, if there are any."""
        if last < first:
            return
        if state is self._state and first == self._last + 1 and self._first:
            self._last = last
            return
        self.end()
        self._first, self._last, self._state = first, last, state

    def end(self) -> None:
        """Let nothing be added to the last range."""
        if self._first:
            count = self._last - self._first + 1
            self._found.append(MissingTasks(self.parent, self._first, self._last, count, self._state))
            self._first = 0


class _Tree:
    """The stored tasks of a job."""

    def __init__(self, name: JobName, tenant_key: int, job_key: int) -> None:
        self._name = name
        self._keys: dict[str, object] = {"tenant_key": tenant_key, "job_key": job_key}
        self._rows: dict[_RowKey, bytes] = {}  # loaded, and not walked through yet
        self.found: list[MissingTasks] = []  # not yet yielded

    def find(self, status: JobStatus) -> _Steps:
        """Find the unfinished tasks of the whole job."""
        root, block = yield from self._root()
        if root.highest_child:
            yield from self._find_below("", root, block)
            return
        state = MissingState.FAILED if status is JobStatus.FAILED else _state_of(root)
        self.found.append(MissingTasks(None, None, None, 1, state))

    def find_under(self, steps: tuple[Step, ...]) -> _Steps:
        """Find the unfinished tasks among the task to which steps lead, and those below it."""
        task, block = yield from self._root()
        for step in steps:
            path, child = step.parent_path, step.child
            if 0 < task.children() < child:
                raise InvalidQuery(
                    f"{self._text(path)} has only {task.children():,} subtasks, so it has no {child:,}"
                )
            number, bit = block_and_bit(child)
            if number:
                rows = yield self._blocks(path, number - 1, number)
                block = decode_block(*rows[0][1:]) if rows else Block()
            if block.completed & bit:
                return
            if block.tracked & bit:
                yield from self._load([(path, child // SIBLINGS)])
                task, block = read_tasks(path, self._rows.pop((path, child // SIBLINGS)))[child]
            else:
                task, block = TaskState(), Block()
        if task.highest_child:
            yield from self._find_below(child_path(path, child), task, block)
        else:
            self.found.append(MissingTasks(self._text(path), child, child, 1, _state_of(task)))

    def _find_below(self, path: str, task: TaskState, block: Block) -> _Steps:
        """Find the unfinished tasks below a task that has children."""
        ranges = _Ranges(self._text(path), self.found)
        highest = task.children() or task.highest_child
        last_block = block_and_bit(highest)[0]
        rows = (yield self._blocks(path, 0, last_block)) if last_block else []
        blocks = _with_first(block, rows)
        next_child = 1
        while blocks:
            for number, completed, tracked in blocks:
                first = BLOCK_CHILDREN * (number - 1) + 1
                last = min(first + BLOCK_CHILDREN - 1, highest)
                ranges.add(next_child, first - 1, MissingState.MISSING)
                next_child = last + 1
                unfinished = f"{completed:0{last - first + 1}b}"[::-1]
                if tracked:
                    yield from self._find_among(path, number, tracked, unfinished, ranges)
                else:
                    for gap in _OPEN.finditer(unfinished):
                        ranges.add(first + gap.start(), first + gap.end() - 1, MissingState.MISSING)
                yield from self._yield_found()
            blocks = []
            if len(rows) == BLOCKS_AT_ONCE:
                rows = yield self._blocks(path, rows[-1][0], last_block)
                blocks = [_bits_of(row) for row in rows]
        ranges.end()  # the block of the highest child is stored, so this was its last
        if not task.last_child:
            unknown = MissingTasks(ranges.parent, highest + 1, None, None, MissingState.UNKNOWN)
            self.found.append(unknown)

    def _find_among(self, path: str, number: int, tracked: int, unfinished: str, ranges: _Ranges) -> _Steps:
        """Do it for the children of one block, of which some are stored as tasks."""
        first = BLOCK_CHILDREN * (number - 1) + 1
        children = children_in(number, tracked)
        keys = _keys_of(path, children)
        yield from self._load(keys)
        symbols = list(unfinished)
        for child in children:
            symbols[child - first] = "t"
        row: dict[int, tuple[TaskState, Block]] = {}
        for gap in _OPEN_OR_TRACKED.finditer("".join(symbols)):
            child = first + gap.start()
            if symbols[gap.start()] != "t":
                ranges.add(child, first + gap.end() - 1, MissingState.MISSING)
                continue
            if child not in row:
                key = keys.pop(0)
                row = read_tasks(path, self._rows.pop(key))
            task, block = row[child]
            if not task.highest_child:
                ranges.add(child, child, _state_of(task))
                continue
            ranges.end()
            below = child_path(path, child)
            if block.tracked and _keys_of(below, children_in(0, block.tracked))[0] not in self._rows:
                yield from self._load_ahead(chain(_keys_below(path, row, child), self._keys_below(keys)))
            yield from self._find_below(below, task, block)
            yield from self._yield_found()

    def _yield_found(self) -> _Steps:
        if len(self.found) >= _RANGES_AT_ONCE:
            yield tuple(self.found)
            self.found.clear()

    def _text(self, path: str) -> str:
        return f"{self._name}.{path}" if path else str(self._name)

    # What is loaded

    def _root(self) -> Generator[Query, list[Row], tuple[TaskState, Block]]:
        """Return the job itself as a task."""
        yield from self._load([("", 0)])
        row = self._rows.get(("", 0))
        return read_tasks("", row)[0] if row is not None else (TaskState(), Block())

    def _blocks(self, path: str, after: int, last: int) -> Query:
        bounds = {"path": path, "after": after, "last": last, "limit": BLOCKS_AT_ONCE}
        return Query(query("list_blocks"), self._keys | bounds)

    def _load(self, keys: Iterable[_RowKey]) -> Generator[Query, list[Row], None]:
        """Load rows of siblings, unless they are."""
        wanted = [key for key in keys if key not in self._rows]
        if wanted:
            paths, numbers = zip(*wanted, strict=True)
            rows = yield Query(
                query("list_sibling_tasks"), self._keys | {"paths": list(paths), "numbers": list(numbers)}
            )
            for path, number, tasks in rows:
                self._rows[path, number] = tasks

    def _load_ahead(self, keys: Iterator[_RowKey]) -> Generator[Query, list[Row], None]:
        """Load the rows that are needed next, and those below them, level by level.

        Otherwise each task with rows below it would need a query. The first level is only a part, so that
        there is room for the levels below: with all of it, 400 tasks of two such tasks took 350 queries.
        """
        left = ROWS_AHEAD
        at_once = ROWS_AHEAD // 8
        while wanted := list(islice(keys, at_once)):
            yield from self._load(wanted)
            left -= len(wanted)
            at_once = left
            keys = self._keys_below(wanted)

    def _keys_below(self, keys: Iterable[_RowKey]) -> Iterator[_RowKey]:
        """Return the keys of the rows below those that are loaded under other keys."""
        for key in keys:
            yield from _keys_below(key[0], read_tasks(key[0], self._rows[key]))


def _keys_below(path: str, row: dict[int, tuple[TaskState, Block]], first: int = 1) -> Iterator[_RowKey]:
    """Return the keys of the rows below the tasks of a row, from a child on: of their blocks 0."""
    for child in sorted(row):
        if child >= first and (tracked := row[child][1].tracked):
            yield from _keys_of(child_path(path, child), children_in(0, tracked))


def _keys_of(path: str, children: Iterable[int]) -> list[_RowKey]:
    """Return the keys of the rows that have these children, in their order."""
    return [(path, number) for number in sorted({child // SIBLINGS for child in children})]


def _with_first(block: Block, rows: Sequence[Row]) -> list[tuple[int, int, int]]:
    """Return blocks from 1 on, with block 0 in block 1, which has room for it."""
    blocks = [_bits_of(row) for row in rows]
    completed, tracked = block.completed, block.tracked
    if blocks and blocks[0][0] == 1:
        _, later_completed, later_tracked = blocks.pop(0)
        completed |= later_completed
        tracked |= later_tracked
    return [(1, completed, tracked), *blocks]


def _bits_of(row: Row) -> tuple[int, int, int]:
    number, completed, tracked = row
    block = decode_block(completed, tracked)
    return number, block.completed, block.tracked


def _state_of(task: TaskState) -> MissingState:
    """Return the state of an unfinished task without children."""
    if task.failed:
        return MissingState.FAILED
    return MissingState.ACTIVE if task.reported else MissingState.MISSING
