-- Delete all rows below tasks that have completed. In the C collation, the paths below '3' are those from '3.' up
-- to '3/', exclusively; '3' itself and the paths below it are those from '3' up to '3/'.
WITH completed_task AS (
    SELECT tenant_key, job_key, path, path || '.' AS below_start, path || '/' AS below_end
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[], %(paths)b::text[])
        AS completed (tenant_key, job_key, path)
),
removed_sibling_tasks AS (
    DELETE FROM sibling_tasks USING completed_task
    WHERE sibling_tasks.tenant_key = completed_task.tenant_key AND sibling_tasks.job_key = completed_task.job_key
        AND sibling_tasks.path >= completed_task.path AND sibling_tasks.path < completed_task.below_end
),
removed_block AS (
    DELETE FROM task_block USING completed_task
    WHERE task_block.tenant_key = completed_task.tenant_key AND task_block.job_key = completed_task.job_key
        AND task_block.path >= completed_task.path AND task_block.path < completed_task.below_end
)
DELETE FROM task_failure USING completed_task
WHERE task_failure.tenant_key = completed_task.tenant_key AND task_failure.job_key = completed_task.job_key
    AND task_failure.path >= completed_task.below_start
    AND task_failure.path < completed_task.below_end
