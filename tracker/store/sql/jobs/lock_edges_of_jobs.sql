-- What locked jobs wait for, locked in the order in which a batch that completes prerequisites locks it: it
-- does so before it locks the pending tasks, and without locking the dependents.
SELECT prerequisite.tenant_key, prerequisite.job_key
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS locked_job (tenant_key, job_key)
JOIN prerequisite USING (tenant_key, job_key)
ORDER BY prerequisite.tenant_key, prerequisite.prerequisite_job_id, prerequisite.job_key
FOR UPDATE OF prerequisite
