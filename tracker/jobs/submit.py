"""The verb that stores jobs.

All jobs of a call are stored by COPY, in one transaction: their rows first, the locks last, so that no other
transaction waits for a large submit (see `tracker.jobs.prerequisites`). One wait remains: of two submits with
the same new job, the second waits at the unique key until the first commits. It is then run again, and finds
the job.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from tracker.errors import JobConflict
from tracker.identifiers import JobName
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs.job import NewJob, SubmittedJob
from tracker.jobs.new_rows import TenantKeys, store_rows
from tracker.jobs.prerequisites import find_prerequisites, lock_and_correct, named
from tracker.jobs.validation import AcceptedJob, Describe, accept, some_of
from tracker.jobs.warnings import Warnings, of_new_jobs, of_stored_jobs
from tracker.store.steps import Commit, Prepared, Verb, ask


def submit(
    jobs: Iterable[NewJob | Mapping[str, Any]], *, describe: Describe = lambda index: f"job {index + 1}"
) -> Prepared[list[SubmittedJob]]:
    """Store jobs, all or none, and return them in their order, each once.

    A mapping has the fields of a job's JSON. A job that is stored already with the same content stays as it
    is. `describe` returns what error messages call the job at an index of `jobs`.

    Jobs that may never run are stored too, with `warnings`: they wait for a job that does not exist, or were
    stored before and have failed or were cancelled.

    :raises InvalidJob: a job breaks a rule, or jobs of the call would wait for each other in a cycle.
    :raises JobRefused: a job has a prerequisite that has failed or was cancelled, or would close a cycle with
        jobs that are stored.
    :raises JobConflict: a job with this name is stored with other content, or given twice with different
        content.
    """
    return Prepared(partial(_submit, accept(jobs, describe)))


def _submit(accepted: Mapping[JobName, AcceptedJob]) -> Verb[list[SubmittedJob]]:
    if not accepted:
        return []
    tenant_keys = yield from _find_tenants(sorted({name.partition_id for name in accepted}))
    stored = yield from _find_stored(accepted, tenant_keys)
    new = [job for name, job in accepted.items() if name not in stored]
    warnings: Warnings = {}
    if stored:
        warnings = yield from of_stored_jobs(stored, accepted, tenant_keys)
    if new:
        unmet = yield from find_prerequisites(new, tenant_keys)
        job_keys = yield from store_rows(new, unmet.edges, tenant_keys)
        if len(unmet.edges) < len(new):
            yield from ask("notify_scheduler")
        missing = yield from lock_and_correct(unmet, job_keys, tenant_keys)
        # Nothing after the commit can fail: an error would say that stored jobs are not stored. And no other
        # transaction should wait while a long answer is made.
        yield Commit()
        warnings |= of_new_jobs(unmet, missing)
    return [
        SubmittedJob(
            partition_id=name.partition_id,
            id=name.job_id,
            created=name not in stored,
            warnings=tuple(warnings.get(name, ())),
        )
        for name in accepted
    ]


def _find_tenants(partition_ids: list[str]) -> Verb[TenantKeys]:
    """Return the keys of partition IDs. A new one gets a key, which it keeps even if the submit is refused.

    Otherwise another submit with the same new partition ID would wait for this one.
    """
    rows = yield from ask("find_tenants", partition_ids=partition_ids)
    if len(rows) < len(partition_ids):
        yield from ask("add_tenants", partition_ids=partition_ids)
        yield Commit()
        rows = yield from ask("find_tenants", partition_ids=partition_ids)
    return dict(rows)


def _find_stored(
    accepted: Mapping[JobName, AcceptedJob], tenant_keys: TenantKeys
) -> Verb[dict[JobName, JobStatus]]:
    """Return the jobs that are stored already, with their statuses.

    :raises JobConflict: some are stored with other content.
    """
    rows = yield from ask("find_submitted_jobs", **named(accepted, tenant_keys))
    partition_ids = {key: partition_id for partition_id, key in tenant_keys.items()}
    stored: dict[JobName, JobStatus] = {}
    conflicts = []
    for tenant_key, job_id, content_hash, status in rows:
        name = JobName(partition_ids[tenant_key], job_id)
        stored[name] = STATUSES[status]
        if not accepted[name].has_content(content_hash):
            conflicts.append(str(name))
    if conflicts:
        raise JobConflict(f"stored already, with other content: {some_of(sorted(conflicts))}")
    return stored
