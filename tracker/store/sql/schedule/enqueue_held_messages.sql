-- Put held messages of resumed jobs into the outbox, in their order, with consecutive numbers.
WITH next_message AS (
    SELECT held_message.tenant_key, held_message.job_key, held_message.held_number
    FROM resumed_job
    JOIN job
        ON job.tenant_key = resumed_job.tenant_key AND job.job_key = resumed_job.job_key
        AND job.status < 2 /* Paused */
    CROSS JOIN LATERAL (
        SELECT waiting.tenant_key, waiting.job_key, waiting.held_number
        FROM held_message AS waiting
        WHERE waiting.tenant_key = resumed_job.tenant_key AND waiting.job_key = resumed_job.job_key
            AND waiting.held_number > (
                SELECT coalesce(max(outbox.held_number), 0) FROM outbox
                WHERE outbox.tenant_key = resumed_job.tenant_key AND outbox.job_key = resumed_job.job_key
            )
        ORDER BY waiting.held_number
        LIMIT %(limit)b
    ) AS held_message
    LIMIT %(limit)b
),
numbered_message AS (
    SELECT tenant_key, job_key, held_number,
           row_number() OVER (ORDER BY tenant_key, job_key, held_number) AS row_number
    FROM next_message
),
numbering AS (
    UPDATE deployment
    SET last_send_number = last_send_number + (SELECT count(*) FROM numbered_message)
    RETURNING last_send_number - (SELECT count(*) FROM numbered_message) AS first_number
)
INSERT INTO outbox (tenant_key, job_key, held_number, send_number)
SELECT numbered_message.tenant_key, numbered_message.job_key, numbered_message.held_number,
       numbering.first_number + numbered_message.row_number
FROM numbered_message, numbering
