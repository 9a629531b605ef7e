-- Return the last thing that somebody has done to a job.
SELECT action.action_time, action.user_name, action.verb, action.filter
FROM job
JOIN action ON action.action_key = job.action_key
WHERE job.tenant_key = %(tenant_key)b::integer AND job.job_key = %(job_key)b::bigint
