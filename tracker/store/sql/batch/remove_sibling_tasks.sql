-- Delete the rows of siblings that have all completed: from now on, they are only bits.
DELETE FROM sibling_tasks
USING unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[], %(paths)b::text[], %(numbers)b::integer[])
    AS completed (tenant_key, job_key, path, number)
WHERE sibling_tasks.tenant_key = completed.tenant_key AND sibling_tasks.job_key = completed.job_key
    AND sibling_tasks.path = completed.path AND sibling_tasks.number = completed.number
