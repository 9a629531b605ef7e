-- Return the next blocks of a task's children that are stored, in their order.
SELECT block, completed, tracked
FROM task_block
WHERE tenant_key = %(tenant_key)s AND job_key = %(job_key)s AND path = %(path)s::text
    AND block > %(after)s AND block <= %(last)s
ORDER BY block
LIMIT %(limit)s
