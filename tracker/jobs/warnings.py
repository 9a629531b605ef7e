"""Says which stored jobs of a submit may never run."""

from collections.abc import Collection, Container, Mapping

from tracker.identifiers import JobName
from tracker.job_status import STATUSES, JobStatus
from tracker.jobs.new_rows import TenantKeys
from tracker.jobs.prerequisites import NOT_TO_WAIT_FOR, UnmetPrerequisites, named
from tracker.store.steps import Verb, ask

Warnings = dict[JobName, list[str]]
"""Clauses that follow the name of a job."""


def of_new_jobs(unmet: UnmetPrerequisites, missing: Collection[JobName]) -> Warnings:
    """Warn of new jobs that wait for a job that does not exist: it may be submitted later, or be mistyped."""
    warnings: Warnings = {}
    for prerequisite in sorted(missing):
        text = waits_for(prerequisite, None)
        for dependent in unmet.outside[prerequisite]:
            warnings.setdefault(dependent, []).append(text)
    return warnings


def of_stored_jobs(
    stored: Mapping[JobName, JobStatus], submitted: Container[JobName], tenant_keys: TenantKeys
) -> Verb[Warnings]:
    """Warn of jobs that were stored before, and have ended badly, or wait for one that has or is missing.

    Jobs that wait for one of `submitted` are left out, because all of those are stored when the submit ends.
    """
    warnings = {
        name: [f"{NOT_TO_WAIT_FOR[status]}, and will not run"]
        for name, status in stored.items()
        if status in NOT_TO_WAIT_FOR
    }
    waiting = [name for name, status in stored.items() if not status.ended]
    if waiting:
        partition_ids = {key: partition_id for partition_id, key in tenant_keys.items()}
        rows = yield from ask("find_broken_edges", **named(waiting, tenant_keys))
        for tenant_key, job_id, prerequisite_job_id, status in rows:
            name = JobName(partition_ids[tenant_key], job_id)
            prerequisite = JobName(name.partition_id, prerequisite_job_id)
            if status is None and prerequisite in submitted:
                continue
            text = waits_for(prerequisite, None if status is None else STATUSES[status])
            warnings.setdefault(name, []).append(text)
    return warnings


def waits_for(prerequisite: JobName, status: JobStatus | None) -> str:
    """Return the clause about a job that waits for one that does not exist, or that has ended badly."""
    return (
        f"waits for {prerequisite}, which {'does not exist' if status is None else NOT_TO_WAIT_FOR[status]}"
    )
