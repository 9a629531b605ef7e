-- Delete the rows of the tasks of jobs that have completed, because nothing can change such jobs any more.
WITH completed_job AS (
    SELECT * FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS completed (tenant_key, job_key)
),
removed_sibling_tasks AS (
    DELETE FROM sibling_tasks USING completed_job
    WHERE sibling_tasks.tenant_key = completed_job.tenant_key AND sibling_tasks.job_key = completed_job.job_key
),
removed_block AS (
    DELETE FROM task_block USING completed_job
    WHERE task_block.tenant_key = completed_job.tenant_key AND task_block.job_key = completed_job.job_key
)
DELETE FROM task_failure USING completed_job
WHERE task_failure.tenant_key = completed_job.tenant_key AND task_failure.job_key = completed_job.job_key
