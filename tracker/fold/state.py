"""What is stored of a job, as far as a batch touches it: what is loaded of it, and what is written."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from tracker.identifiers import JobName
from tracker.job_status import JobStatus
from tracker.messages.event import FULL, Failure

MAX_UNFINISHED = 99_700_000  # millionths of a percent: of a task whose children have not all completed
BLOCK_CHILDREN = 4096  # in one row of task_block; the comments on the tables give the number too
_BLOCK_SHIFT = BLOCK_CHILDREN.bit_length() - 1


class TaskState:
    """A task with children, with progress of its own, or failed (a row of `task`).

    Any other task is only a bit in a block of its parent.
    """

    __slots__ = (
        "changed",
        "children_percentage",
        "completed_children",
        "counted_as_failed",
        "counted_percentage",
        "failed",
        "failed_children",
        "highest_child",
        "last_child",
        "reported",
        "stored",
    )

    def __init__(
        self,
        reported: int = 0,
        failed: bool = False,
        last_child: int = 0,
        highest_child: int = 0,
        completed_children: int = 0,
        failed_children: int = 0,
        children_percentage: int = 0,
        *,
        stored: bool = False,
    ) -> None:
        self.reported = reported  # the highest progress that was reported
        self.failed = failed  # whether it was itself reported as failed
        self.last_child = last_child  # the highest number that was marked as the last; 0: none yet
        self.highest_child = highest_child
        self.completed_children = completed_children
        self.failed_children = failed_children  # unfinished children that count as failed
        self.children_percentage = children_percentage  # the sum over the unfinished children
        self.stored = stored
        self.changed = False
        # The share of this task in its parent's sums.
        self.counted_percentage = self.percentage() if stored else 0
        self.counted_as_failed = self.counts_as_failed() if stored else False

    def children(self) -> int:
        """Return the number of children; 0 while it is not known."""
        return max(self.last_child, self.highest_child) if self.last_child else 0

    def is_complete(self) -> bool:
        """Return whether the number of children is known, and all of them have completed."""
        return self.last_child > 0 and self.completed_children >= self.children()

    def counts_as_failed(self) -> bool:
        """Return whether the task, or one below it, has failed and has not completed since."""
        return self.failed or self.failed_children > 0

    def percentage(self) -> int:
        """Return the unfinished task's percentage, in millionths of a percent.

        It is 0 if the task itself was reported as failed. With a failed child, it is what the children amount
        to.
        """
        if self.failed:
            return 0
        if not self.highest_child:
            return self.reported
        amount = self.completed_children * FULL + self.children_percentage
        amount //= self.children() or self.highest_child + 1
        amount = min(amount, MAX_UNFINISHED)
        return amount if amount > self.reported else self.reported


class Block:
    """`BLOCK_CHILDREN` children of one task, with a bit for each (a row of `task_block`)."""

    __slots__ = ("changed", "completed", "stored", "tracked")

    def __init__(self, completed: int = 0, tracked: int = 0, *, stored: bool = False) -> None:
        self.completed = completed
        self.tracked = tracked  # children that have a row in `task`
        self.stored = stored
        self.changed = False


class JobState:
    """A job as the batch has found it, with the tasks that are loaded, by path; '' is the job itself."""

    __slots__ = (
        "blocks",
        "job_key",
        "name",
        "percentage",
        "status",
        "tasks",
        "tenant_key",
    )

    def __init__(
        self, name: JobName, tenant_key: int, job_key: int, status: JobStatus, percentage: int
    ) -> None:
        self.name = name
        self.tenant_key = tenant_key
        self.job_key = job_key
        self.status = status
        self.percentage = percentage
        self.tasks: dict[str, TaskState] = {}
        self.blocks: dict[tuple[str, int], Block] = {}


JobNeeds = tuple[JobState, Collection[str], Collection[tuple[str, int]]]
"""What is to be loaded into the state of a job: paths of tasks, and (path, number) of blocks."""


class JobChanges(NamedTuple):
    """What is to be written of a job that a batch has changed.

    If the job has completed, `status` and `percentage` are all: no row of its tasks remains.
    """

    tenant_key: int
    job_key: int
    old_status: JobStatus
    status: JobStatus
    percentage: int
    blocks: Sequence[tuple[tuple[str, int], Block]] = ()  # by (path, number)
    tasks: Sequence[tuple[str, TaskState]] = ()  # by path
    removed_tasks: Sequence[str] = ()  # paths of stored tasks that have completed
    removed_subtrees: Sequence[str] = ()  # those with children: everything below them is removed too
    removed_failures: Sequence[str] = ()
    failures: Mapping[str, Failure] = MappingProxyType({})  # path -> details, new or newer


def block_and_bit(child: int) -> tuple[int, int]:
    """Return the block of a child, and its bit there."""
    zero_based = child - 1
    return zero_based >> _BLOCK_SHIFT, 1 << (zero_based & (BLOCK_CHILDREN - 1))


def masks(children: list[int]) -> dict[int, int]:
    """Return the bits of children, as one mask for each block, by its number."""
    if len(children) == 1:
        block, bit = block_and_bit(children[0])
        return {block: bit}
    bits_of: dict[int, bytearray] = {}
    for child in children:
        zero_based = child - 1
        block = zero_based >> _BLOCK_SHIFT
        bits = bits_of.get(block)
        if bits is None:
            bits = bits_of[block] = bytearray(BLOCK_CHILDREN // 8)
        bits[(zero_based & (BLOCK_CHILDREN - 1)) >> 3] |= 1 << (zero_based & 7)
    return {block: int.from_bytes(bits, "little") for block, bits in bits_of.items()}


def children_in(block: int, mask: int) -> list[int]:
    """Return the children whose bits are set in a mask of a block."""
    first = block * BLOCK_CHILDREN + 1
    found = []
    while mask:
        lowest = mask & -mask
        found.append(first + lowest.bit_length() - 1)
        mask ^= lowest
    return found
