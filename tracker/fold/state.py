"""What is stored of a job, as far as a batch touches it: what is loaded of it, and what is written."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from tracker.identifiers import JobName
from tracker.job_status import JobStatus
from tracker.messages.event import FULL, Failure

MAX_UNFINISHED = 99_700_000  # millionths of a percent: of a task whose children have not all completed
FIRST_CHILDREN = 256  # in block 0; the comments on the tables give the number too
BLOCK_CHILDREN = 4096  # in each other block; as above
_BLOCK_SHIFT = BLOCK_CHILDREN.bit_length() - 1
_FIRST_BITS = (1 << FIRST_CHILDREN) - 1


class TaskState:
    """A task with children, with progress of its own, or failed.

    Any other task is only a bit in a block of its parent.
    """

    __slots__ = (
        "changed",
        "child",
        "children_percentage",
        "completed_children",
        "counted_as_failed",
        "counted_percentage",
        "failed",
        "failed_children",
        "highest_child",
        "last_child",
        "parent_path",
        "reported",
        "stored",
    )

    def __init__(  # noqa: PLR0913 - as it is stored, in this order
        self,
        reported: int = 0,
        failed: bool = False,
        last_child: int = 0,
        highest_child: int = 0,
        completed_children: int = 0,
        failed_children: int = 0,
        children_percentage: int = 0,
        *,
        parent_path: str = "",
        child: int = 0,
        stored: bool = False,
    ) -> None:
        self.parent_path = parent_path  # that of the job, whose path is '', is '' too
        self.child = child  # the number of this task among the children there; 0: the job itself
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
    """A bit for each of some children of a task.

    Block 0 has the first `FIRST_CHILDREN` children, and is stored with the task. Block n has those from
    `BLOCK_CHILDREN` * (n - 1) + 1 on, except the children of block 0, and is a row of its own. So most tasks
    need no row of a block, and the place of a child does not depend on how many children there are.
    """

    __slots__ = ("changed", "completed", "tracked")

    def __init__(self, completed: int = 0, tracked: int = 0) -> None:
        self.completed = completed
        self.tracked = tracked  # children that are stored as tasks
        self.changed = False


class StoredSiblings:
    """Tasks among some siblings, in the form in which the store keeps them together."""

    __slots__ = ("tasks", "unknown")

    def __init__(self, tasks: dict[int, bytes] | None = None, unknown: int = 0) -> None:
        self.tasks = {} if tasks is None else tasks  # by the numbers of the children
        self.unknown = unknown  # bits of those that have children, of which the number is not known


class JobState:
    """A job as the batch has found it, with the tasks that are loaded, by path; '' is the job itself.

    `siblings` is for the store: what it has loaded, in the form in which it is stored.
    """

    __slots__ = (
        "blocks",
        "job_key",
        "name",
        "percentage",
        "siblings",
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
        self.siblings: dict[tuple[str, int], StoredSiblings] = {}


JobNeeds = tuple[JobState, Collection[str], Collection[tuple[str, int]]]
"""What is to be loaded into the state of a job: paths of tasks, and (path, number) of blocks.

Block 0 comes with its task, and is not among them.
"""


class JobChanges(NamedTuple):
    """What is to be written of a job that a batch has changed.

    If the job has completed, `status` and `percentage` are all: nothing of its tasks remains.
    """

    job: JobState  # as it was found, but with the new state of its tasks and blocks
    status: JobStatus
    percentage: int
    tasks: Collection[str] = ()  # paths of tasks that have changed, or their block 0
    blocks: Sequence[tuple[tuple[str, int], Block]] = ()  # other blocks, by (path, number)
    removed_tasks: Sequence[str] = ()  # paths of stored tasks that have completed
    removed_subtrees: Sequence[str] = ()  # those with something stored below them, which is removed too
    removed_failures: Sequence[str] = ()
    failures: Mapping[str, Failure] = MappingProxyType({})  # path -> details, new or newer
    contradicts: bool = False  # whether a child came after the last one, or there are two last ones


def block_and_bit(child: int) -> tuple[int, int]:
    """Return the block of a child, and its bit there."""
    zero_based = child - 1
    if zero_based < FIRST_CHILDREN:
        return 0, 1 << zero_based
    return (zero_based >> _BLOCK_SHIFT) + 1, 1 << (zero_based & (BLOCK_CHILDREN - 1))


def masks(children: list[int]) -> dict[int, int]:
    """Return the bits of children, as one mask for each block, by its number."""
    if len(children) == 1:
        block, bit = block_and_bit(children[0])
        return {block: bit}
    bits_of: dict[int, bytearray] = {}
    for child in children:
        zero_based = child - 1
        number = (zero_based >> _BLOCK_SHIFT) + 1
        bits = bits_of.get(number)
        if bits is None:
            bits = bits_of[number] = bytearray(BLOCK_CHILDREN // 8)
        bits[(zero_based & (BLOCK_CHILDREN - 1)) >> 3] |= 1 << (zero_based & 7)
    found = {number: int.from_bytes(bits, "little") for number, bits in bits_of.items()}
    # Cheaper than to look for the children of block 0 one by one.
    if first := found.get(1, 0) & _FIRST_BITS:
        found[0] = first
        found[1] ^= first
        if not found[1]:
            del found[1]
    return found


def children_in(block: int, mask: int) -> list[int]:
    """Return the children whose bits are set in a mask of a block."""
    first = max(block - 1, 0) * BLOCK_CHILDREN + 1
    found = []
    while mask:
        lowest = mask & -mask
        found.append(first + lowest.bit_length() - 1)
        mask ^= lowest
    return found
