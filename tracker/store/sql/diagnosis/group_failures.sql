-- Return how many tasks of a job have failed, by the ID and the message of the failure, the most frequent first.
SELECT failure_id, failure_message, count(*), min(path), count(*) OVER () AS group_count, sum(count(*)) OVER ()::bigint
FROM task_failure
WHERE tenant_key = %(tenant_key)b::integer AND job_key = %(job_key)b::bigint
GROUP BY failure_id, failure_message
ORDER BY count(*) DESC, failure_id, failure_message
LIMIT %(limit)b
