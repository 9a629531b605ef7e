-- A condition on jobs: they wait for one, directly or not.
(job.tenant_key, job.job_key) IN (
{dependents}
)
