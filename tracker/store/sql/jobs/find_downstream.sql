-- A part of search_dependents: the keys of the jobs that wait for one, of those that wait for these, and so on. It need not
-- be stored.
WITH RECURSIVE reached_job (tenant_key, job_id, job_key) AS (
    SELECT named_tenant.tenant_key, {job_id}::text COLLATE "C", NULL::bigint
    FROM tenant AS named_tenant
    WHERE named_tenant.partition_id = {partition_id}::text
    UNION  -- not UNION ALL: a diamond is walked once
    SELECT reached_job.tenant_key, dependent.job_id, dependent.job_key
    FROM reached_job
    CROSS JOIN LATERAL (
        SELECT prerequisite.job_key
        FROM prerequisite
        WHERE prerequisite.tenant_key = reached_job.tenant_key
            AND prerequisite.prerequisite_job_id = reached_job.job_id
        OFFSET 0
    ) AS edge
    CROSS JOIN LATERAL (
        SELECT job.job_id, job.job_key
        FROM job
        WHERE job.tenant_key = reached_job.tenant_key AND job.job_key = edge.job_key
            AND (job.status < 3 /* Failed */ OR job.root_job_id IS NOT NULL)
        LIMIT 1
    ) AS dependent
)
SELECT tenant_key, job_key
FROM reached_job
WHERE job_key IS NOT NULL
