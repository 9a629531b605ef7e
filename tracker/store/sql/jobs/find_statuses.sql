-- The status of named jobs, with the place of each in the arrays. A job that is not there has no row.
SELECT named_job.place - 1, job.status
FROM unnest(%(partition_ids)b::text[], %(job_ids)b::text[]) WITH ORDINALITY
    AS named_job (partition_id, job_id, place)
JOIN tenant USING (partition_id)
JOIN job USING (tenant_key, job_id)
