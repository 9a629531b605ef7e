-- A part of search_dependents: the keys of the jobs that wait for one directly. It need not be stored.
SELECT dependent.tenant_key, dependent.job_key
FROM tenant AS named_tenant
CROSS JOIN LATERAL (
    SELECT prerequisite.job_key
    FROM prerequisite
    WHERE prerequisite.tenant_key = named_tenant.tenant_key
        AND prerequisite.prerequisite_job_id = {job_id}::text
    OFFSET 0
) AS edge
CROSS JOIN LATERAL (
    SELECT job.tenant_key, job.job_key
    FROM job
    WHERE job.tenant_key = named_tenant.tenant_key AND job.job_key = edge.job_key
        AND (job.status < 3 /* Failed */ OR job.root_job_id IS NOT NULL)
    LIMIT 1
) AS dependent
WHERE named_tenant.partition_id = {partition_id}::text
