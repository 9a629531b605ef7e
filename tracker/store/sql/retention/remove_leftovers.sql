-- Delete some of the rows of tasks of jobs that retention has removed, and the rows of removed_job whose jobs have no
-- such rows any more. Return the number of deleted rows; 0 means that nothing is left.
WITH found_job AS MATERIALIZED (
    SELECT tenant_key, job_key FROM removed_job
    ORDER BY tenant_key, job_key
    LIMIT %(limit)b
    FOR UPDATE SKIP LOCKED
),
leftover_siblings AS MATERIALIZED (
    SELECT stored.*
    FROM found_job
    CROSS JOIN LATERAL (
        SELECT sibling_tasks.tenant_key, sibling_tasks.job_key, sibling_tasks.path, sibling_tasks.number
        FROM sibling_tasks
        WHERE sibling_tasks.tenant_key = found_job.tenant_key AND sibling_tasks.job_key = found_job.job_key
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
deleted_siblings AS (
    DELETE FROM sibling_tasks USING leftover_siblings
    WHERE sibling_tasks.tenant_key = leftover_siblings.tenant_key
        AND sibling_tasks.job_key = leftover_siblings.job_key
        AND sibling_tasks.path = leftover_siblings.path AND sibling_tasks.number = leftover_siblings.number
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
            SELECT FROM sibling_tasks
            WHERE sibling_tasks.tenant_key = found_job.tenant_key
                AND sibling_tasks.job_key = found_job.job_key
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
SELECT (SELECT count(*) FROM deleted_siblings) + (SELECT count(*) FROM deleted_block)
    + (SELECT count(*) FROM deleted_failure) + (SELECT count(*) FROM deleted_record)
