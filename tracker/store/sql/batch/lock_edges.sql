-- Lock the edges that lead to completed jobs, in key order, before outbox rows are locked.
SELECT FROM unnest(%(tenant_keys)b::integer[], %(job_ids)b::text[]) AS completed (tenant_key, job_id)
JOIN prerequisite
    ON prerequisite.tenant_key = completed.tenant_key AND prerequisite.prerequisite_job_id = completed.job_id
ORDER BY prerequisite.tenant_key, prerequisite.prerequisite_job_id, prerequisite.job_key
FOR UPDATE OF prerequisite
