-- Delete what is published according to the scheduler's committed offset: pending tasks, held messages, and their
-- outbox rows. Lock outbox rows first, then pending tasks, both in key order, as every statement does.
WITH published AS (
    SELECT tenant_key, job_key, held_number
    FROM outbox
    WHERE send_number <= %(sent_number)b::bigint
    ORDER BY tenant_key, job_key, held_number
    FOR UPDATE
),
locked_task AS (
    SELECT pending_task.tenant_key, pending_task.job_key
    FROM published
    JOIN pending_task
        ON pending_task.tenant_key = published.tenant_key AND pending_task.job_key = published.job_key
    WHERE published.held_number = 0
    ORDER BY pending_task.tenant_key, pending_task.job_key
    FOR UPDATE OF pending_task
),
removed_task AS (
    DELETE FROM pending_task USING locked_task
    WHERE pending_task.tenant_key = locked_task.tenant_key AND pending_task.job_key = locked_task.job_key
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
