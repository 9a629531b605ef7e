-- Mark everything downstream of failed jobs as failed, whole graph at once: none of it can ever run. The
-- jobs were locked by look_up_jobs_and_downstream; edges and pending tasks are locked here, in key order.
WITH RECURSIVE failed_job AS (
    SELECT failed.tenant_key, failed.job_key, job.job_id, tenant.partition_id || ':' || job.job_id AS root_name,
           ('[' || coalesce(array_to_string(string_to_array(job.failure_summary, E'\n'), ','), '') || ']')::json AS details
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS failed (tenant_key, job_key)
    JOIN job ON job.tenant_key = failed.tenant_key AND job.job_key = failed.job_key
    JOIN tenant ON tenant.tenant_key = failed.tenant_key
),
downstream_job AS (
    SELECT prerequisite.tenant_key, prerequisite.job_key, failed_job.job_key AS root_key
    FROM failed_job
    JOIN prerequisite
        ON prerequisite.tenant_key = failed_job.tenant_key
        AND prerequisite.prerequisite_job_id = failed_job.job_id
    UNION
    SELECT prerequisite.tenant_key, prerequisite.job_key, downstream_job.root_key
    FROM downstream_job
    JOIN job AS dependent
        ON dependent.tenant_key = downstream_job.tenant_key AND dependent.job_key = downstream_job.job_key
    JOIN prerequisite
        ON prerequisite.tenant_key = dependent.tenant_key
        AND prerequisite.prerequisite_job_id = dependent.job_id
),
doomed_job AS (
    SELECT DISTINCT ON (downstream_job.tenant_key, downstream_job.job_key)
           downstream_job.tenant_key, downstream_job.job_key, failed_job.root_name, failed_job.details
    FROM downstream_job
    JOIN failed_job
        ON failed_job.tenant_key = downstream_job.tenant_key AND failed_job.job_key = downstream_job.root_key
    ORDER BY downstream_job.tenant_key, downstream_job.job_key, downstream_job.root_key
),
marked_job AS (
    UPDATE job
    SET status = 3, percentage = 0, last_update_time = now(),
        failure_summary = json_build_object(
            'root_failure', doomed_job.root_name, 'failure_details', doomed_job.details
        )::text
    FROM doomed_job
    WHERE job.tenant_key = doomed_job.tenant_key AND job.job_key = doomed_job.job_key AND job.status < 3
    RETURNING job.tenant_key, job.job_key
),
locked_edge AS (
    SELECT prerequisite.tenant_key, prerequisite.prerequisite_job_id, prerequisite.job_key
    FROM marked_job
    JOIN prerequisite
        ON prerequisite.tenant_key = marked_job.tenant_key AND prerequisite.job_key = marked_job.job_key
    ORDER BY prerequisite.tenant_key, prerequisite.prerequisite_job_id, prerequisite.job_key
    FOR UPDATE OF prerequisite
),
removed_edge AS (
    DELETE FROM prerequisite USING locked_edge
    WHERE prerequisite.tenant_key = locked_edge.tenant_key
        AND prerequisite.prerequisite_job_id = locked_edge.prerequisite_job_id
        AND prerequisite.job_key = locked_edge.job_key
    RETURNING prerequisite.tenant_key, prerequisite.job_key
),
locked_task AS (
    SELECT pending_task.tenant_key, pending_task.job_key
    FROM (SELECT DISTINCT tenant_key, job_key FROM removed_edge) AS dependent
    JOIN pending_task
        ON pending_task.tenant_key = dependent.tenant_key AND pending_task.job_key = dependent.job_key
    ORDER BY pending_task.tenant_key, pending_task.job_key
    FOR UPDATE OF pending_task
)
DELETE FROM pending_task USING locked_task
WHERE pending_task.tenant_key = locked_task.tenant_key AND pending_task.job_key = locked_task.job_key
