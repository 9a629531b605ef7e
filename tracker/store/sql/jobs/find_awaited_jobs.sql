-- Return the new jobs that jobs stored earlier wait for: a cycle through the database leads through them. The edges
-- of the new jobs themselves are stored already, and do not count; the new jobs' keys are in a few ranges.
SELECT DISTINCT prerequisite.tenant_key, prerequisite.prerequisite_job_id
FROM unnest(%(tenant_keys)b::integer[], %(job_ids)b::text[]) AS new_job (tenant_key, job_id)
JOIN prerequisite
    ON prerequisite.tenant_key = new_job.tenant_key
    AND prerequisite.prerequisite_job_id = new_job.job_id
WHERE NOT EXISTS (
    SELECT FROM unnest(%(first_keys)b::bigint[], %(last_keys)b::bigint[]) AS new_keys (first_key, last_key)
    WHERE prerequisite.job_key BETWEEN new_keys.first_key AND new_keys.last_key
)
