"""Trees of tasks, drawn from a `random.Random`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

Path = tuple[int, ...]


@dataclass
class Tree:
    """A task and its children, by index."""

    children: "dict[int, Tree]" = field(default_factory=dict)

    @property
    def last(self) -> int:
        return max(self.children)

    @property
    def is_whole(self) -> bool:
        """Whether no index is missing, anywhere."""
        return all(child.is_whole for child in self.children.values()) and (
            not self.children or len(self.children) == self.last
        )

    def paths(self, path: Path = ()) -> Iterator[Path]:
        """List all tasks."""
        yield path
        for index, child in self.children.items():
            yield from child.paths((*path, index))

    def leaves(self) -> list[Path]:
        """List the tasks without subtasks."""
        return [path for path in self.paths() if not self.at(path).children]

    def at(self, path: Path) -> "Tree":
        """Return the task at the path."""
        tree = self
        for index in path:
            tree = tree.children[index]
        return tree


def make_tree(random: Random, size: int, *, depth: int = 5, sparse: bool = False) -> Tree:
    """Make a tree of about `size` leaves. In a sparse one, indexes are missing."""
    if depth == 0 or size <= 1:
        return Tree()
    width = random.choice([1, 2, 3, size, max(size // 3, 1)])
    indexes = range(1, width + 1)
    if sparse:
        indexes = range(1, random.choice([width + 1, width * 3, 10_000, 2_147_483_647]) + 1)
    picked = sorted({random.choice(indexes) for _ in range(width)}) if sparse else list(indexes)
    deeper = random.random() < 0.7
    return Tree(
        {
            index: make_tree(random, size // width, depth=depth - 1 if deeper else 0, sparse=sparse)
            for index in picked
        }
    )
