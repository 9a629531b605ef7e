-- Lock all edges that a batch is about to delete, of jobs that it has completed and of jobs downstream of failed
-- ones, in one order: each of the statements that follow locks in key order, but not all of them together.
WITH wanted_edge AS (
    SELECT prerequisite.tenant_key, prerequisite.prerequisite_job_id, prerequisite.job_key
    FROM unnest(%(completed_tenant_keys)b::integer[], %(completed_job_ids)b::text[])
        AS completed (tenant_key, job_id)
    JOIN prerequisite
        ON prerequisite.tenant_key = completed.tenant_key
        AND prerequisite.prerequisite_job_id = completed.job_id
    UNION
    SELECT prerequisite.tenant_key, prerequisite.prerequisite_job_id, prerequisite.job_key
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS locked_job (tenant_key, job_key)
    JOIN prerequisite
        ON prerequisite.tenant_key = locked_job.tenant_key AND prerequisite.job_key = locked_job.job_key
)
SELECT FROM wanted_edge
JOIN prerequisite
    ON prerequisite.tenant_key = wanted_edge.tenant_key
    AND prerequisite.prerequisite_job_id = wanted_edge.prerequisite_job_id
    AND prerequisite.job_key = wanted_edge.job_key
ORDER BY prerequisite.tenant_key, prerequisite.prerequisite_job_id, prerequisite.job_key
FOR UPDATE OF prerequisite
