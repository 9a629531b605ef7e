-- Return the rows of the tasks that a batch needs.
SELECT sibling_tasks.tenant_key, sibling_tasks.job_key, sibling_tasks.path, sibling_tasks.number,
       sibling_tasks.tasks, sibling_tasks.unknown
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[], %(paths)b::text[], %(numbers)b::integer[])
    AS wanted (tenant_key, job_key, path, number)
JOIN sibling_tasks
    ON sibling_tasks.tenant_key = wanted.tenant_key AND sibling_tasks.job_key = wanted.job_key
    AND sibling_tasks.path = wanted.path AND sibling_tasks.number = wanted.number
