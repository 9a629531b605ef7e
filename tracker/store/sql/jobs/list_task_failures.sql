-- Return the failed tasks of a job, in the order of their numbers.
SELECT path, failure_id, failure_time_ms, failure_source, failure_message
FROM task_failure
WHERE tenant_key = %(tenant_key)s AND job_key = %(job_key)s
ORDER BY string_to_array(path, '.')::integer[]
