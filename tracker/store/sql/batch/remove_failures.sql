-- Delete the failure details of tasks that have completed after all.
DELETE FROM task_failure
USING unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[], %(paths)b::text[])
    AS completed_task (tenant_key, job_key, path)
WHERE task_failure.tenant_key = completed_task.tenant_key
    AND task_failure.job_key = completed_task.job_key AND task_failure.path = completed_task.path
