-- Forget resumed jobs whose held messages are all sent, and drop what is held for those that have ended
-- since: it would be dropped if it came now. Gives the number of messages dropped.
WITH ended_job AS (
    SELECT resumed_job.tenant_key, resumed_job.job_key
    FROM resumed_job
    LEFT JOIN job ON job.tenant_key = resumed_job.tenant_key AND job.job_key = resumed_job.job_key
    WHERE job.status IS NULL OR job.status > 2
),
dropped_message AS (
    DELETE FROM held_message USING ended_job
    WHERE held_message.tenant_key = ended_job.tenant_key AND held_message.job_key = ended_job.job_key
    RETURNING held_message.held_number
),
forgotten_job AS (
    DELETE FROM resumed_job
    WHERE NOT EXISTS (
            SELECT FROM held_message
            WHERE held_message.tenant_key = resumed_job.tenant_key
                AND held_message.job_key = resumed_job.job_key
        )
        OR EXISTS (
            SELECT FROM ended_job
            WHERE ended_job.tenant_key = resumed_job.tenant_key AND ended_job.job_key = resumed_job.job_key
        )
)
SELECT count(*) FROM dropped_message
