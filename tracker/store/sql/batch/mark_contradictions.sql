-- Record that reports on these jobs contradicted each other.
UPDATE job SET contradicted = true
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS contradicted_job (tenant_key, job_key)
WHERE job.tenant_key = contradicted_job.tenant_key AND job.job_key = contradicted_job.job_key
    AND NOT job.contradicted
