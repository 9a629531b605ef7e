-- Start locked, failed jobs again. Each gets a new key: so its messages of the earlier run are recognised, and its old
-- tasks, which may be a million, are only noted for removal. A job without unmet prerequisites is eligible to be sent.
WITH retried_job AS MATERIALIZED (
    SELECT tenant_key, job_key, nextval('job_job_key_seq') AS new_key
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS retried_job (tenant_key, job_key)
),
updated_job AS (
    UPDATE job
    SET job_key = retried_job.new_key, status = 0 /* Waiting */, percentage = 0, last_update_time = now(),
        attempt = job.attempt + 1, failure_summary = NULL, pause_time = NULL, end_time = NULL, root_job_id = NULL,
        contradicted = false, action_key = %(action_key)s
    FROM retried_job
    WHERE job.tenant_key = retried_job.tenant_key AND job.job_key = retried_job.job_key
),
updated_label AS (
    UPDATE label SET job_key = retried_job.new_key
    FROM retried_job
    WHERE label.tenant_key = retried_job.tenant_key AND label.job_key = retried_job.job_key
),
updated_prerequisite AS (
    UPDATE prerequisite SET job_key = retried_job.new_key
    FROM retried_job
    WHERE prerequisite.tenant_key = retried_job.tenant_key AND prerequisite.job_key = retried_job.job_key
),
deleted_outbox AS (
    DELETE FROM outbox USING retried_job
    WHERE outbox.tenant_key = retried_job.tenant_key AND outbox.job_key = retried_job.job_key
),
deleted_note AS (
    DELETE FROM job_note USING retried_job
    WHERE job_note.tenant_key = retried_job.tenant_key AND job_note.job_key = retried_job.job_key
),
deleted_resumed_job AS (
    DELETE FROM resumed_job USING retried_job
    WHERE resumed_job.tenant_key = retried_job.tenant_key AND resumed_job.job_key = retried_job.job_key
),
updated_task_message AS (
    UPDATE task_message
    SET job_key = retried_job.new_key, sent_time = NULL, postponed_time = NULL, not_sent_reason = NULL, paused = false,
        unmet = edge.count,
        eligible_time = CASE WHEN edge.count = 0 THEN now() END
    FROM retried_job
    CROSS JOIN LATERAL (
        SELECT count(*)::integer AS count
        FROM prerequisite
        WHERE prerequisite.tenant_key = retried_job.tenant_key AND prerequisite.job_key = retried_job.job_key
    ) AS edge
    WHERE task_message.tenant_key = retried_job.tenant_key AND task_message.job_key = retried_job.job_key
)
INSERT INTO removed_job (tenant_key, job_key)
SELECT tenant_key, job_key FROM retried_job
