-- Delete some of the rows of tasks of jobs that retention has removed, and the rows of removed_job whose jobs have no
-- such rows any more. Return the number of deleted rows; 0 means that nothing is left.
WITH found_job AS MATERIALIZED (
    SELECT tenant_key, job_key FROM removed_job
    ORDER BY tenant_key, job_key
    LIMIT %(limit)b
    FOR UPDATE SKIP LOCKED
),
leftover_task AS MATERIALIZED (
    SELECT stored.*
    FROM found_job
    CROSS JOIN LATERAL (
        SELECT task.tenant_key, task.job_key, task.path FROM task
        WHERE task.tenant_key = found_job.tenant_key AND task.job_key = found_job.job_key
        LIMIT %(limit)b
    ) AS stored
    LIMIT %(limit)b
),
leftover_block AS MATERIALIZED (
    SELECT stored.*
    FROM found_job
    CROSS JOIN LATERAL (
        SELECT task_block.tenant_key, task_block.job_key, task_block.path, task_block.block FROM task_block
        WHERE task_block.tenant_key = found_job.tenant_key AND task_block.job_key = found_job.job_key
        LIMIT %(limit)b
    ) AS stored
    LIMIT %(limit)b
),
leftover_failure AS MATERIALIZED (
    SELECT stored.*
    FROM found_job
    CROSS JOIN LATERAL (
        SELECT task_failure.tenant_key, task_failure.job_key, task_failure.path FROM task_failure
        WHERE task_failure.tenant_key = found_job.tenant_key AND task_failure.job_key = found_job.job_key
        LIMIT %(limit)b
    ) AS stored
    LIMIT %(limit)b
),
deleted_task AS (
    DELETE FROM task USING leftover_task
    WHERE task.tenant_key = leftover_task.tenant_key AND task.job_key = leftover_task.job_key
        AND task.path = leftover_task.path
    RETURNING 1
),
deleted_block AS (
    DELETE FROM task_block USING leftover_block
    WHERE task_block.tenant_key = leftover_block.tenant_key AND task_block.job_key = leftover_block.job_key
        AND task_block.path = leftover_block.path AND task_block.block = leftover_block.block
    RETURNING 1
),
deleted_failure AS (
    DELETE FROM task_failure USING leftover_failure
    WHERE task_failure.tenant_key = leftover_failure.tenant_key AND task_failure.job_key = leftover_failure.job_key
        AND task_failure.path = leftover_failure.path
    RETURNING 1
),
deleted_record AS (
    DELETE FROM removed_job USING found_job
    WHERE removed_job.tenant_key = found_job.tenant_key AND removed_job.job_key = found_job.job_key
        AND NOT EXISTS (
            SELECT FROM task
            WHERE task.tenant_key = found_job.tenant_key AND task.job_key = found_job.job_key
        )
        AND NOT EXISTS (
            SELECT FROM task_block
            WHERE task_block.tenant_key = found_job.tenant_key AND task_block.job_key = found_job.job_key
        )
        AND NOT EXISTS (
            SELECT FROM task_failure
            WHERE task_failure.tenant_key = found_job.tenant_key AND task_failure.job_key = found_job.job_key
        )
    RETURNING 1
)
SELECT (SELECT count(*) FROM deleted_task) + (SELECT count(*) FROM deleted_block)
    + (SELECT count(*) FROM deleted_failure) + (SELECT count(*) FROM deleted_record)
