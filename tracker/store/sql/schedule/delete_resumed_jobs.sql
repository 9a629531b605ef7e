-- Delete the rows of resumed jobs whose held messages are all sent, and drop the held messages of jobs that have ended
-- since, because messages of ended jobs are dropped. A row that a pause, cancel or delete has locked is left to it.
WITH locked_job AS (
    SELECT tenant_key, job_key
    FROM resumed_job
    ORDER BY tenant_key, job_key
    FOR UPDATE SKIP LOCKED
),
found_job AS (
    SELECT locked_job.tenant_key, locked_job.job_key,
           job.status IS NULL OR job.status > 2 /* Paused */ AS is_ended,
           CASE job.status
               WHEN 3 /* Failed */ THEN 'failed'
               WHEN 4 /* Cancelled */ THEN 'cancelled'
               WHEN 5 /* Completed */ THEN 'completed'
               ELSE 'deleted'
           END
               AS reason,
           coalesce(job.job_id, '') AS job_id
    FROM locked_job
    LEFT JOIN job ON job.tenant_key = locked_job.tenant_key AND job.job_key = locked_job.job_key
),
dropped_message AS (
    DELETE FROM held_message USING found_job
    WHERE held_message.tenant_key = found_job.tenant_key AND held_message.job_key = found_job.job_key
        AND found_job.is_ended
    RETURNING found_job.tenant_key, found_job.reason, found_job.job_id
),
deleted_job AS (
    DELETE FROM resumed_job USING found_job
    WHERE resumed_job.tenant_key = found_job.tenant_key AND resumed_job.job_key = found_job.job_key
        AND (found_job.is_ended OR NOT EXISTS (
            SELECT FROM held_message
            WHERE held_message.tenant_key = found_job.tenant_key
                AND held_message.job_key = found_job.job_key
        ))
)
INSERT INTO dropped_work (tenant_key, kind, reason, amount, job_id)
SELECT tenant_key, 'held_message', reason, count(*), min(job_id)
FROM dropped_message
GROUP BY tenant_key, reason
