-- Lock named jobs in key order, and return the position of each in the arrays. A job that is not stored has no row.
SELECT named_job.ordinality - 1, job.tenant_key, job.job_key, job.status
FROM unnest(%(partition_ids)b::text[], %(job_ids)b::text[]) WITH ORDINALITY
    AS named_job (partition_id, job_id, ordinality)
JOIN tenant USING (partition_id)
JOIN job USING (tenant_key, job_id)
ORDER BY job.tenant_key, job.job_key
FOR UPDATE OF job
