-- Delete edges that this transaction has stored itself, because their prerequisites have completed in the meantime.
-- A job that waits for nothing else becomes eligible. No other transaction sees these rows yet, so none is locked.
WITH completed_edge AS (
    SELECT tenant_key, prerequisite_job_id COLLATE "C" AS prerequisite_job_id, job_key
    FROM unnest(%(tenant_keys)b::integer[], %(prerequisite_job_ids)b::text[], %(job_keys)b::bigint[])
        AS completed_edge (tenant_key, prerequisite_job_id, job_key)
),
met_edge AS (
    DELETE FROM prerequisite USING completed_edge
    WHERE prerequisite.tenant_key = completed_edge.tenant_key
        AND prerequisite.prerequisite_job_id = completed_edge.prerequisite_job_id
        AND prerequisite.job_key = completed_edge.job_key
    RETURNING prerequisite.tenant_key, prerequisite.job_key
),
dependent AS (
    SELECT tenant_key, job_key, count(*)::integer AS met
    FROM met_edge
    GROUP BY tenant_key, job_key
)
UPDATE task_message
SET unmet = task_message.unmet - dependent.met,
    -- Not now(), when the transaction began: the delay counts from the completion.
    eligible_time = CASE
        WHEN task_message.unmet = dependent.met
        THEN clock_timestamp() + make_interval(secs => task_message.delay_s)
    END
FROM dependent
WHERE task_message.tenant_key = dependent.tenant_key AND task_message.job_key = dependent.job_key
