-- A condition on jobs: they have an unmet prerequisite.
EXISTS (
    SELECT
    FROM prerequisite
    WHERE prerequisite.tenant_key = job.tenant_key AND prerequisite.job_key = job.job_key
)
