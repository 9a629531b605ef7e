-- Removes some of what is stored of the tasks of jobs that retention has removed, and the notes of those of which
-- there is nothing left. Gives the number of rows removed; with 0 there is nothing left at all.
WITH removed AS MATERIALIZED (
    SELECT tenant_key, job_key FROM removed_job
    ORDER BY tenant_key, job_key
    LIMIT %(limit)b
    FOR UPDATE SKIP LOCKED
),
some_task AS MATERIALIZED (
    SELECT stored.*
    FROM removed
    CROSS JOIN LATERAL (
        SELECT task.tenant_key, task.job_key, task.path FROM task
        WHERE task.tenant_key = removed.tenant_key AND task.job_key = removed.job_key
        LIMIT %(limit)b
    ) AS stored
    LIMIT %(limit)b
),
some_block AS MATERIALIZED (
    SELECT stored.*
    FROM removed
    CROSS JOIN LATERAL (
        SELECT task_block.tenant_key, task_block.job_key, task_block.path, task_block.block FROM task_block
        WHERE task_block.tenant_key = removed.tenant_key AND task_block.job_key = removed.job_key
        LIMIT %(limit)b
    ) AS stored
    LIMIT %(limit)b
),
some_failure AS MATERIALIZED (
    SELECT stored.*
    FROM removed
    CROSS JOIN LATERAL (
        SELECT task_failure.tenant_key, task_failure.job_key, task_failure.path FROM task_failure
        WHERE task_failure.tenant_key = removed.tenant_key AND task_failure.job_key = removed.job_key
        LIMIT %(limit)b
    ) AS stored
    LIMIT %(limit)b
),
deleted_task AS (
    DELETE FROM task USING some_task
    WHERE task.tenant_key = some_task.tenant_key AND task.job_key = some_task.job_key
        AND task.path = some_task.path
    RETURNING 1
),
deleted_block AS (
    DELETE FROM task_block USING some_block
    WHERE task_block.tenant_key = some_block.tenant_key AND task_block.job_key = some_block.job_key
        AND task_block.path = some_block.path AND task_block.block = some_block.block
    RETURNING 1
),
deleted_failure AS (
    DELETE FROM task_failure USING some_failure
    WHERE task_failure.tenant_key = some_failure.tenant_key AND task_failure.job_key = some_failure.job_key
        AND task_failure.path = some_failure.path
    RETURNING 1
),
forgotten_job AS (
    DELETE FROM removed_job USING removed
    WHERE removed_job.tenant_key = removed.tenant_key AND removed_job.job_key = removed.job_key
        AND NOT EXISTS (
            SELECT FROM task
            WHERE task.tenant_key = removed.tenant_key AND task.job_key = removed.job_key
        )
        AND NOT EXISTS (
            SELECT FROM task_block
            WHERE task_block.tenant_key = removed.tenant_key AND task_block.job_key = removed.job_key
        )
        AND NOT EXISTS (
            SELECT FROM task_failure
            WHERE task_failure.tenant_key = removed.tenant_key AND task_failure.job_key = removed.job_key
        )
    RETURNING 1
)
SELECT (SELECT count(*) FROM deleted_task) + (SELECT count(*) FROM deleted_block)
    + (SELECT count(*) FROM deleted_failure) + (SELECT count(*) FROM forgotten_job)
