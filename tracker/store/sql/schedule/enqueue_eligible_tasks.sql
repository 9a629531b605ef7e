-- Put task messages that are due into the outbox, with consecutive numbers. Delete those whose jobs have completed or
-- were cancelled in the meantime; that of a failed job stays, for a retry. Earlier reports on a job do not matter. A row
-- that another transaction has locked is due the next time.
--
-- A suspended tenant may have a million jobs. So this walks the index from one tenant with eligible tasks to the
-- next, and skips the suspended ones as a whole.
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
due_task AS (
    SELECT due.tenant_key, due.job_key, due.eligible_time,
           job.job_id, job.status
    FROM eligible_tenant
    JOIN tenant ON tenant.tenant_key = eligible_tenant.tenant_key AND NOT tenant.suspended
    CROSS JOIN LATERAL (
        SELECT task_message.tenant_key, task_message.job_key, task_message.eligible_time
        FROM task_message
        WHERE task_message.tenant_key = tenant.tenant_key
            AND task_message.eligible_time <= now() AND NOT task_message.paused
        ORDER BY task_message.eligible_time, task_message.job_key
        LIMIT %(limit)b
    ) AS due
    JOIN job ON job.tenant_key = due.tenant_key AND job.job_key = due.job_key
    LIMIT %(limit)b
),
locked_task AS (
    SELECT due_task.*
    FROM due_task
    JOIN task_message
        ON task_message.tenant_key = due_task.tenant_key AND task_message.job_key = due_task.job_key
    WHERE task_message.eligible_time <= now() AND NOT task_message.paused
    FOR UPDATE OF task_message SKIP LOCKED
),
removed_task AS (
    DELETE FROM task_message USING locked_task
    WHERE task_message.tenant_key = locked_task.tenant_key AND task_message.job_key = locked_task.job_key
        AND locked_task.status > 3 /* Failed */
),
recorded_drop AS (
    INSERT INTO dropped_work (tenant_key, kind, reason, amount, job_id)
    SELECT tenant_key, 'pending_task',
           CASE status WHEN 3 /* Failed */ THEN 'failed' WHEN 4 /* Cancelled */ THEN 'cancelled' ELSE 'completed' END,
           count(*), min(job_id)
    FROM locked_task
    WHERE status > 2 /* Paused */
    GROUP BY tenant_key, status
),
marked_task AS (
    UPDATE task_message
    SET eligible_time = NULL,
        not_sent_reason = NULL,
        sent_time = CASE WHEN locked_task.status < 3 /* Failed */ THEN now() END
    FROM locked_task
    WHERE task_message.tenant_key = locked_task.tenant_key AND task_message.job_key = locked_task.job_key
        AND locked_task.status <= 3 /* Failed */
),
numbered_task AS (
    SELECT tenant_key, job_key, row_number() OVER (ORDER BY eligible_time, tenant_key, job_key) AS row_number
    FROM locked_task
    WHERE status < 3 /* Failed */
),
numbering AS (
    UPDATE deployment
    SET last_send_number = last_send_number + (SELECT count(*) FROM numbered_task)
    RETURNING last_send_number - (SELECT count(*) FROM numbered_task) AS first_number
)
INSERT INTO outbox (tenant_key, job_key, send_number, task_id)
SELECT numbered_task.tenant_key, numbered_task.job_key, numbering.first_number + numbered_task.row_number,
       gen_random_uuid()::text
FROM numbered_task, numbering
