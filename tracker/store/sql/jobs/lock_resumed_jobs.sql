-- Lock the rows of resumed jobs before their held messages: a scheduler that deletes such a row may be dropping the
-- messages.
SELECT resumed_job.tenant_key, resumed_job.job_key
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS locked_job (tenant_key, job_key)
JOIN resumed_job USING (tenant_key, job_key)
ORDER BY resumed_job.tenant_key, resumed_job.job_key
FOR UPDATE OF resumed_job
