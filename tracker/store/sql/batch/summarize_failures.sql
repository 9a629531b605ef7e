-- Store a summary of the failures of jobs whose failed tasks have changed: the first ten by path, with one JSON
-- object on each line.
WITH changed_job AS (
    SELECT * FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS changed (tenant_key, job_key)
),
summary AS (
    SELECT changed_job.tenant_key, changed_job.job_key, string_agg(failure.details, E'\n' ORDER BY failure.path) AS lines
    FROM changed_job
    JOIN job ON job.tenant_key = changed_job.tenant_key AND job.job_key = changed_job.job_key
    JOIN tenant ON tenant.tenant_key = changed_job.tenant_key
    LEFT JOIN LATERAL (
        SELECT task_failure.path,
               json_build_object(
                   'jobTaskId', concat_ws('.', tenant.partition_id || ':' || job.job_id, nullif(task_failure.path, '')),
                   'failureId', task_failure.failure_id,
                   'failureTime', task_failure.failure_time_ms,
                   'failureSource', task_failure.failure_source,
                   'failureMessage', task_failure.failure_message
               )::text AS details
        FROM task_failure
        WHERE task_failure.tenant_key = changed_job.tenant_key AND task_failure.job_key = changed_job.job_key
        ORDER BY task_failure.path
        LIMIT 10
    ) AS failure ON true
    GROUP BY changed_job.tenant_key, changed_job.job_key
)
UPDATE job
SET failure_summary = summary.lines
FROM summary
WHERE job.tenant_key = summary.tenant_key AND job.job_key = summary.job_key
