"""The verb that stores jobs.

All the jobs of a call go in by COPY, in one transaction: their rows first, the locks last, so that nobody
waits for a large submit (see `tracker.jobs.prerequisites`). One wait remains: of two submits with the same
new job, the second waits at the unique key for the first to commit, and is then run again, when it finds it.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from tracker.errors import JobConflict
from tracker.identifiers import JobName
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs.job import NewJob, SubmittedJob
from tracker.jobs.new_rows import TenantKeys, store_rows
from tracker.jobs.prerequisites import look_at_prerequisites, named, settle
from tracker.jobs.validation import AcceptedJob, Describe, accept, some_of
from tracker.jobs.warnings import Warnings, of_new_jobs, of_stored_jobs
from tracker.store.steps import Commit, Prepared, Verb, ask


def submit(
    jobs: Iterable[NewJob | Mapping[str, Any]], *, describe: Describe = lambda index: f"job {index + 1}"
) -> Prepared[list[SubmittedJob]]:
    """Store jobs, all or none, and return them in their order, each once.

    A mapping has the fields of a job's JSON. A job that is stored already with the same content is left as it
    is. `describe` says what to call the job at an index of `jobs` in error messages.

    Those that may never run are stored too, and have `warnings`: they wait for a job that does not exist, or
    were stored before and have failed or were cancelled.

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
        waits = yield from look_at_prerequisites(new, tenant_keys)
        job_keys = yield from store_rows(new, waits.edges, tenant_keys)
        if len(waits.edges) < len(new):
            yield from ask("notify_scheduler")
        missing = yield from settle(waits, job_keys, tenant_keys)
        # The last thing that can fail: an error after it would say of stored jobs that they are not stored.
        # And nobody is to wait until a long answer is made.
        yield Commit()
        warnings |= of_new_jobs(waits, missing)
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
    """Return the keys of partition IDs. One that has none gets one, and keeps it if the submit is refused.

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
    """Return those that are stored already.

    :raises JobConflict: some are, with other content.
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
