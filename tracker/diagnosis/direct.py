"""Reads what jobs wait for directly, and how far that is."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tracker.diagnosis.standing import Standing
from tracker.job_status import STATUSES, JobStatus
from tracker.store.arrays import key_arrays
from tracker.store.steps import Verb, ask

NAMED = 20
"""Of one job, so many prerequisites or roots are named; the others are counted."""


class Prerequisite(NamedTuple):
    """A job for which another one waits."""

    job_id: str
    status: JobStatus | None  # None: it is not stored
    percentage: int  # millionths of a percent


def read_prerequisites(jobs: Iterable[Standing]) -> Verb[Mapping[tuple[int, int], Sequence[Prerequisite]]]:
    """Return the first unmet prerequisites of each job, in the order of their IDs, by the key of the job."""
    keys = key_arrays(job.key for job in jobs)
    rows = yield from ask("list_unmet_prerequisites", **keys, limit=NAMED)
    found = defaultdict(list)
    for tenant_key, job_key, job_id, status, percentage in rows:
        state = None if status is None else STATUSES[status]
        found[tenant_key, job_key].append(Prerequisite(job_id, state, percentage or 0))
    return found
