-- A condition on jobs: they wait for one directly.
job.tenant_key = (
    SELECT named_tenant.tenant_key FROM tenant AS named_tenant WHERE named_tenant.partition_id = {partition_id}::text
)
AND (job.status < 3 /* Failed */ OR job.root_job_id IS NOT NULL)
AND EXISTS (
    SELECT
    FROM prerequisite
    WHERE prerequisite.tenant_key = job.tenant_key AND prerequisite.job_key = job.job_key
        AND prerequisite.prerequisite_job_id = {job_id}::text
    {fence}
)
