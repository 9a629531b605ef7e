-- Delete what is published according to the scheduler's committed offset: held messages, and outbox rows, which are locked
-- first, in key order, as every statement does. The task messages stay, because a job that fails can be retried.
WITH published AS (
    SELECT tenant_key, job_key, held_number
    FROM outbox
    WHERE send_number <= %(sent_number)b::bigint
    ORDER BY tenant_key, job_key, held_number
    FOR UPDATE
),
removed_message AS (
    DELETE FROM held_message USING published
    WHERE held_message.tenant_key = published.tenant_key AND held_message.job_key = published.job_key
        AND held_message.held_number = published.held_number
),
updated_deployment AS (
    UPDATE deployment SET sent_number = greatest(sent_number, %(sent_number)b::bigint)
)
DELETE FROM outbox USING published
WHERE outbox.tenant_key = published.tenant_key AND outbox.job_key = published.job_key
    AND outbox.held_number = published.held_number
