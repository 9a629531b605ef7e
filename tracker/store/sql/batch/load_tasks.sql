-- Return the rows of the tasks that a batch needs.
SELECT task.tenant_key, task.job_key, task.path, task.reported, task.failed, task.last_child,
       task.highest_child, task.completed_children, task.failed_children, task.children_percentage
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[], %(paths)b::text[])
    AS wanted (tenant_key, job_key, path)
JOIN task
    ON task.tenant_key = wanted.tenant_key AND task.job_key = wanted.job_key AND task.path = wanted.path
