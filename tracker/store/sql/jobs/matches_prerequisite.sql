-- A condition on jobs: they have an unmet prerequisite whose job ID passes a test.
EXISTS (
    SELECT
    FROM prerequisite
    WHERE prerequisite.tenant_key = job.tenant_key AND prerequisite.job_key = job.job_key
        AND {test}
)
