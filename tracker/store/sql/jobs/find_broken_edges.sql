-- Return the prerequisites of stored jobs that do not exist, have failed or were cancelled.
SELECT dependent.tenant_key, dependent.job_id, prerequisite.prerequisite_job_id, prerequisite_job.status
FROM unnest(%(tenant_keys)b::integer[], %(job_ids)b::text[]) AS stored_job (tenant_key, job_id)
JOIN job AS dependent USING (tenant_key, job_id)
JOIN prerequisite ON prerequisite.tenant_key = dependent.tenant_key AND prerequisite.job_key = dependent.job_key
LEFT JOIN job AS prerequisite_job
    ON prerequisite_job.tenant_key = prerequisite.tenant_key
    AND prerequisite_job.job_id = prerequisite.prerequisite_job_id
WHERE prerequisite_job.status IS NULL OR prerequisite_job.status IN (3 /* Failed */, 4 /* Cancelled */)
ORDER BY dependent.tenant_key, prerequisite.prerequisite_job_id, dependent.job_key
