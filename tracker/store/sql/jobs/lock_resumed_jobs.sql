-- What is noted of resumed jobs, locked before what is held for them: the scheduler that forgets it may be
-- dropping that.
SELECT resumed_job.tenant_key, resumed_job.job_key
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS locked_job (tenant_key, job_key)
JOIN resumed_job USING (tenant_key, job_key)
ORDER BY resumed_job.tenant_key, resumed_job.job_key
FOR UPDATE OF resumed_job
