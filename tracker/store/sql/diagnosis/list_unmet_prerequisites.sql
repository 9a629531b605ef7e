-- Return the first jobs for which a job waits directly.
SELECT prerequisite_job_id
FROM prerequisite
WHERE tenant_key = %(tenant_key)b::integer AND job_key = %(job_key)b::bigint
ORDER BY prerequisite_job_id
LIMIT %(limit)b
