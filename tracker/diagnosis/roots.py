"""For which job each of many waits in the end: the most telling of its roots, for all of them at once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tracker.job_status import STATUSES, JobStatus
from tracker.store.arrays import key_arrays
from tracker.store.steps import Verb, ask

MOST_JOBS = 100_000  # that are reached
MOST_EDGES = 200_000
# The most telling first, as in find_roots.sql. Any other status means that it is not stored.
_RANKS = {
    JobStatus.FAILED: 0,
    JobStatus.CANCELLED: 1,
    JobStatus.PAUSED: 3,
    JobStatus.WAITING: 4,
    JobStatus.ACTIVE: 5,
}
_RANK_OF_OTHERS = 2

Key = tuple[int, int]
"""Of a job: its tenant_key and job_key."""


class Edge(NamedTuple):
    """A job waits for another one."""

    tenant_key: int
    job_key: int  # of the one that waits
    prerequisite_id: str
    prerequisite_key: int | None  # None: it is not stored
    status: JobStatus | None  # of the prerequisite
    is_root: bool  # of the prerequisite: it waits for no other

    @property
    def prerequisite(self) -> tuple[int, str]:
        """The name of the prerequisite."""
        return self.tenant_key, self.prerequisite_id


class Root(NamedTuple):
    """A job for which others wait in the end."""

    job_id: str
    status: JobStatus | None  # None: it is not stored


def read_first_roots(keys: Iterable[Key]) -> Verb[Mapping[Key, Root]]:
    """Return the first root of each job, in the order of `tracker job why`.

    A job has none if it waits in a cycle, or if what is above the jobs is too much to be read.
    """
    rows = yield from ask("list_edges_above", **key_arrays(keys), most_jobs=MOST_JOBS, most_edges=MOST_EDGES)
    return first_roots(
        Edge(tenant_key, job_key, job_id, key, None if status is None else STATUSES[status], is_root)
        for tenant_key, job_key, job_id, key, status, is_root in rows
    )


def first_roots(edges: Iterable[Edge]) -> dict[Key, Root]:
    """Return the first root of each job that waits.

    From each root, the most telling first, everything downstream that has none yet gets it: so each edge is
    followed once, and a cycle has an end.
    """
    waiting: dict[tuple[int, str], list[Key]] = defaultdict(list)
    names: dict[Key, tuple[int, str]] = {}
    roots: dict[tuple[int, str], Root] = {}
    for edge in edges:
        waiting[edge.prerequisite].append((edge.tenant_key, edge.job_key))
        if edge.is_root:
            roots[edge.prerequisite] = Root(edge.prerequisite_id, edge.status)
        elif edge.prerequisite_key is not None:
            names[edge.tenant_key, edge.prerequisite_key] = edge.prerequisite
    found: dict[Key, Root] = {}
    for name, root in sorted(roots.items(), key=lambda item: _rank(item[1])):
        to_visit = [name]
        while to_visit:
            for key in waiting[to_visit.pop()]:
                if key not in found:
                    found[key] = root
                    if key in names:
                        to_visit.append(names[key])
    return found


def _rank(root: Root) -> tuple[int, str]:
    rank = _RANK_OF_OTHERS if root.status is None else _RANKS.get(root.status, _RANK_OF_OTHERS)
    return rank, root.job_id
