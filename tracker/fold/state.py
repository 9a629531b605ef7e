"""What is stored of a job, as far as a batch touches it."""

from tracker.identifiers import JobName
from tracker.job_status import JobStatus

FULL = 100_000_000  # 100 % in millionths of a percent
MOST_UNFINISHED = 99_700_000  # a task whose children have not all completed
BLOCK_CHILDREN = 4096  # one row of task_block; also the tables' comment
_BLOCK_SHIFT = 12


class TaskState:
    """A task that is more than a bit: with children, progress of its own, or failed (a row of `task`)."""

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
        self.reported = reported  # highest progress reported
        self.failed = failed  # reported failed, itself
        self.last_child = last_child  # highest index marked as last; 0: none yet
        self.highest_child = highest_child
        self.completed_children = completed_children
        self.failed_children = failed_children  # unfinished children that count as failed
        self.children_percentage = children_percentage  # sum over the unfinished children
        self.stored = stored
        self.changed = False
        # What the parent's sums hold of this task.
        self.counted_percentage = self.percentage() if stored else 0
        self.counted_as_failed = self.counts_as_failed() if stored else False

    def children(self) -> int:
        """Return how many children there are; 0 while that is not known."""
        return max(self.last_child, self.highest_child) if self.last_child else 0

    def is_complete(self) -> bool:
        """Return whether every child has completed, and no more can come."""
        return self.last_child > 0 and self.completed_children >= self.children()

    def counts_as_failed(self) -> bool:
        """Return whether the task, or one below it, has failed and not completed since."""
        return self.failed or self.failed_children > 0

    def percentage(self) -> int:
        """Return the unfinished task's percentage, in millionths of a percent.

        One that was itself reported failed counts 0; one with a failed child, what its children amount to.
        """
        if self.failed:
            return 0
        if not self.highest_child:
            return self.reported
        amount = self.completed_children * FULL + self.children_percentage
        amount //= self.children() or self.highest_child + 1
        return max(self.reported, min(amount, MOST_UNFINISHED))


class Block:
    """`BLOCK_CHILDREN` children of one task, a bit each (a row of `task_block`)."""

    __slots__ = ("changed", "completed", "stored", "tracked")

    def __init__(self, completed: int = 0, tracked: int = 0, *, stored: bool = False) -> None:
        self.completed = completed
        self.tracked = tracked  # children that have a row in `task`
        self.stored = stored
        self.changed = False


class JobState:
    """A job as it was found, with what was loaded of its tasks, by path; '' is the job itself."""

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


def block_and_bit(child: int) -> tuple[int, int]:
    """Return the block of a child, and its bit there."""
    zero_based = child - 1
    return zero_based >> _BLOCK_SHIFT, 1 << (zero_based & (BLOCK_CHILDREN - 1))


def masks(children: list[int]) -> dict[int, int]:
    """Return the bits of many children: block number to mask."""
    bits_of: dict[int, bytearray] = {}
    for child in children:
        zero_based = child - 1
        block = zero_based >> _BLOCK_SHIFT
        bits = bits_of.get(block)
        if bits is None:
            bits = bits_of[block] = bytearray(BLOCK_CHILDREN // 8)
        bits[(zero_based & (BLOCK_CHILDREN - 1)) >> 3] |= 1 << (zero_based & 7)
    return {block: int.from_bytes(bits, "little") for block, bits in bits_of.items()}


def members(block: int, mask: int) -> list[int]:
    """Return the children that a mask stands for."""
    first = block * BLOCK_CHILDREN + 1
    found = []
    while mask:
        lowest = mask & -mask
        found.append(first + lowest.bit_length() - 1)
        mask ^= lowest
    return found
