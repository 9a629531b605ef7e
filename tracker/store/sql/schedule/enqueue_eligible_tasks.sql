-- Put pending tasks that are due into the outbox, with consecutive numbers. Delete those whose jobs have ended in the
-- meantime. Earlier reports on a job do not matter.
--
-- A suspended tenant may have a million jobs. So this walks the index from one tenant with eligible tasks to the
-- next, and skips the suspended ones as a whole.
WITH RECURSIVE eligible_tenant AS (
    (
        SELECT tenant_key FROM pending_task
        WHERE eligible_time IS NOT NULL AND NOT paused
        ORDER BY tenant_key LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT pending_task.tenant_key FROM pending_task
        WHERE pending_task.eligible_time IS NOT NULL AND NOT pending_task.paused
            AND pending_task.tenant_key > eligible_tenant.tenant_key
        ORDER BY pending_task.tenant_key LIMIT 1
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
        SELECT pending_task.tenant_key, pending_task.job_key, pending_task.eligible_time
        FROM pending_task
        WHERE pending_task.tenant_key = tenant.tenant_key
            AND pending_task.eligible_time <= now() AND NOT pending_task.paused
            AND NOT EXISTS (
                SELECT FROM outbox
                WHERE outbox.tenant_key = pending_task.tenant_key AND outbox.job_key = pending_task.job_key
                    AND outbox.held_number = 0
            )
        ORDER BY pending_task.eligible_time, pending_task.job_key
        LIMIT %(limit)b
    ) AS due
    JOIN job ON job.tenant_key = due.tenant_key AND job.job_key = due.job_key
    LIMIT %(limit)b
),
obsolete_task AS (
    SELECT pending_task.tenant_key, pending_task.job_key, due_task.job_id, due_task.status
    FROM due_task
    JOIN pending_task
        ON pending_task.tenant_key = due_task.tenant_key AND pending_task.job_key = due_task.job_key
    WHERE due_task.status > 2 /* Paused */
    FOR UPDATE OF pending_task SKIP LOCKED
),
removed_task AS (
    DELETE FROM pending_task USING obsolete_task
    WHERE pending_task.tenant_key = obsolete_task.tenant_key AND pending_task.job_key = obsolete_task.job_key
    RETURNING obsolete_task.*
),
recorded_drop AS (
    INSERT INTO dropped_work (tenant_key, kind, reason, amount, job_id)
    SELECT tenant_key, 'pending_task',
           CASE status WHEN 3 /* Failed */ THEN 'failed' WHEN 4 /* Cancelled */ THEN 'cancelled' ELSE 'completed' END,
           count(*), min(job_id)
    FROM removed_task
    GROUP BY tenant_key, status
),
numbered_task AS (
    SELECT tenant_key, job_key, row_number() OVER (ORDER BY eligible_time, tenant_key, job_key) AS row_number
    FROM due_task
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
