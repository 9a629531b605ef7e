-- Return the job that has been due the longest and is not sent, where it is to be sent, and for how many seconds. One
-- that cannot be sent is due again after a few seconds each time; it counts from the first time on. Of each tenant,
-- the first 100 are looked at.
--
-- As in enqueue_eligible_tasks, this walks from one tenant with eligible tasks to the next, because a suspended one
-- may have a million jobs.
WITH RECURSIVE eligible_tenant AS (
    (
        SELECT tenant_key FROM task_message
        WHERE eligible_time IS NOT NULL AND NOT paused
        ORDER BY tenant_key LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT task_message.tenant_key FROM task_message
        WHERE task_message.eligible_time IS NOT NULL AND NOT task_message.paused
            AND task_message.tenant_key > eligible_tenant.tenant_key
        ORDER BY task_message.tenant_key LIMIT 1
    )
    FROM eligible_tenant
    WHERE eligible_tenant.tenant_key IS NOT NULL
),
oldest_due AS (
    SELECT due.tenant_key, due.job_key, due.task_pipe, due.due_time, tenant.partition_id
    FROM eligible_tenant
    JOIN tenant ON tenant.tenant_key = eligible_tenant.tenant_key AND NOT tenant.suspended
    CROSS JOIN LATERAL (
        SELECT task_message.tenant_key, task_message.job_key, task_message.task_pipe,
               least(task_message.eligible_time, task_message.postponed_time) AS due_time
        FROM task_message
        WHERE task_message.tenant_key = tenant.tenant_key
            AND task_message.eligible_time <= now() + interval '10 s' AND NOT task_message.paused
        ORDER BY task_message.eligible_time, task_message.job_key
        LIMIT 100
    ) AS due
    WHERE due.due_time <= now()
    ORDER BY due.due_time
    LIMIT 1
)
SELECT oldest_due.partition_id, job.job_id, oldest_due.task_pipe,
       extract(epoch FROM now() - oldest_due.due_time)::float8 AS due_s
FROM oldest_due
JOIN job ON job.tenant_key = oldest_due.tenant_key AND job.job_key = oldest_due.job_key
