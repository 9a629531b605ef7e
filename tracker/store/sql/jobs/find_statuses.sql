-- Return the status of named jobs, and the position of each in the arrays. A job that is not stored has no row.
SELECT named_job.ordinality - 1, job.status
FROM unnest(%(partition_ids)b::text[], %(job_ids)b::text[]) WITH ORDINALITY
    AS named_job (partition_id, job_id, ordinality)
JOIN tenant USING (partition_id)
JOIN job USING (tenant_key, job_id)
