-- Delete the rows of tasks that have completed: from now on, they are only bits.
DELETE FROM task
USING unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[], %(paths)b::text[])
    AS completed_task (tenant_key, job_key, path)
WHERE task.tenant_key = completed_task.tenant_key AND task.job_key = completed_task.job_key
    AND task.path = completed_task.path
