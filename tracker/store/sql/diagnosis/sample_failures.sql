-- Return, of some jobs, how many of their first failed tasks have failed with which ID and beginning of a message.
SELECT wanted_job.tenant_key, wanted_job.job_key, failure.failure_id, failure.message, count(*), min(failure.path)
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS wanted_job (tenant_key, job_key)
CROSS JOIN LATERAL (
    SELECT task_failure.failure_id, left(task_failure.failure_message, 200) AS message, task_failure.path
    FROM task_failure
    WHERE task_failure.tenant_key = wanted_job.tenant_key AND task_failure.job_key = wanted_job.job_key
    ORDER BY task_failure.path
    LIMIT %(limit)b
) AS failure
GROUP BY wanted_job.tenant_key, wanted_job.job_key, failure.failure_id, failure.message
ORDER BY count(*) DESC, failure.failure_id, failure.message
