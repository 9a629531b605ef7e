-- Delete and store edges of a locked job that has not been sent, which are locked or missing, and count them in its task
-- message. A job that waits for nothing else becomes eligible, and one that waits again no longer is.
WITH updated_job AS (
    UPDATE job SET last_update_time = now(), action_key = %(action_key)s
    WHERE job.tenant_key = %(tenant_key)b::integer AND job.job_key = %(job_key)b::bigint
),
deleted_prerequisite AS (
    DELETE FROM prerequisite
    WHERE prerequisite.tenant_key = %(tenant_key)b::integer AND prerequisite.job_key = %(job_key)b::bigint
        AND prerequisite.prerequisite_job_id = ANY (%(removed_job_ids)b::text[])
),
stored_prerequisite AS (
    INSERT INTO prerequisite (tenant_key, prerequisite_job_id, job_key)
    SELECT %(tenant_key)b::integer, added.job_id, %(job_key)b::bigint
    FROM unnest(%(added_job_ids)b::text[]) AS added (job_id)
)
UPDATE task_message
SET unmet = task_message.unmet + cardinality(%(added_job_ids)b::text[]) - cardinality(%(removed_job_ids)b::text[]),
    -- Not now(), when the transaction began, which may have waited for locks since.
    eligible_time = CASE
        WHEN task_message.unmet + cardinality(%(added_job_ids)b::text[]) = cardinality(%(removed_job_ids)b::text[])
        THEN clock_timestamp() + make_interval(secs => task_message.delay_s)
    END,
    postponed_time = NULL,
    not_sent_reason = NULL
WHERE task_message.tenant_key = %(tenant_key)b::integer AND task_message.job_key = %(job_key)b::bigint
