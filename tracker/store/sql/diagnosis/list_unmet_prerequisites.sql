-- Return the first jobs for which each of some jobs waits directly, and how far they are; null: it is not stored.
SELECT wanted_job.tenant_key, wanted_job.job_key, edge.prerequisite_job_id,
       prerequisite_job.status, prerequisite_job.percentage
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS wanted_job (tenant_key, job_key)
CROSS JOIN LATERAL (
    SELECT prerequisite.prerequisite_job_id
    FROM prerequisite
    WHERE prerequisite.tenant_key = wanted_job.tenant_key AND prerequisite.job_key = wanted_job.job_key
    ORDER BY prerequisite.prerequisite_job_id
    LIMIT %(limit)b
) AS edge
LEFT JOIN LATERAL (
    SELECT job.status, job.percentage
    FROM job
    WHERE job.tenant_key = wanted_job.tenant_key AND job.job_id = edge.prerequisite_job_id
    LIMIT 1
) AS prerequisite_job ON true
ORDER BY wanted_job.tenant_key, wanted_job.job_key, edge.prerequisite_job_id
