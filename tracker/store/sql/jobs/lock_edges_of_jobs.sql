-- Lock the edges from locked jobs to their prerequisites, in the order in which a batch that completes prerequisites
-- locks them: it does so before it locks the task messages, and without locks on the dependents. Return them.
SELECT prerequisite.tenant_key, prerequisite.job_key, prerequisite.prerequisite_job_id
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS locked_job (tenant_key, job_key)
JOIN prerequisite USING (tenant_key, job_key)
ORDER BY prerequisite.tenant_key, prerequisite.prerequisite_job_id, prerequisite.job_key
FOR UPDATE OF prerequisite
