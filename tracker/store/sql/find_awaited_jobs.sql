-- Which of the new jobs are waited for by stored ones: a circle through the database runs through them.
SELECT DISTINCT prerequisite.tenant_key, prerequisite.prerequisite_job_id
FROM unnest(%(tenant_keys)b::integer[], %(job_ids)b::text[]) AS new_job (tenant_key, job_id)
JOIN prerequisite
    ON prerequisite.tenant_key = new_job.tenant_key
    AND prerequisite.prerequisite_job_id = new_job.job_id
