-- Mark all jobs downstream of failed jobs as Failed, the whole graph at once, because none of them can ever run.
-- lock_batch_jobs_and_downstream has locked the jobs. Their edges and task messages stay, so that a retry can put them
-- back.
--
-- Each job is found from a failed job, its root, and one root is enough. If several roots lead to a job by the
-- same number of steps, only the first is followed further; and no path continues through a job that has failed
-- by itself. So a lattice of 100 x 100 jobs under 100 roots takes 10,000 rows and not 1,000,000.
WITH RECURSIVE downstream_job AS (
    SELECT failed.tenant_key, failed.job_key, job.job_id, failed.job_key AS root_key
    FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS failed (tenant_key, job_key)
    JOIN job ON job.tenant_key = failed.tenant_key AND job.job_key = failed.job_key
    UNION
    SELECT next_job.*
    FROM (
        SELECT DISTINCT ON (dependent.tenant_key, dependent.job_key)
               dependent.tenant_key, dependent.job_key, dependent.job_id, downstream_job.root_key
        FROM downstream_job
        JOIN prerequisite
            ON prerequisite.tenant_key = downstream_job.tenant_key
            AND prerequisite.prerequisite_job_id = downstream_job.job_id
        JOIN job AS dependent
            ON dependent.tenant_key = prerequisite.tenant_key AND dependent.job_key = prerequisite.job_key
        WHERE dependent.status < 3 /* Failed */
        ORDER BY dependent.tenant_key, dependent.job_key, downstream_job.root_key
    ) AS next_job
),
job_root AS (
    SELECT DISTINCT ON (tenant_key, job_key) tenant_key, job_key, root_key
    FROM downstream_job
    WHERE job_key <> root_key
    ORDER BY tenant_key, job_key, root_key
),
explained_job AS MATERIALIZED (
    SELECT job_root.tenant_key, job_root.job_key, root.job_id AS root_job_id,
           json_build_object(
               'root_failure', tenant.partition_id || ':' || root.job_id,
               'failure_details', ('[' || replace(coalesce(root.failure_summary, ''), E'\n', ',') || ']')::json
           )::text AS failure_summary
    FROM job_root
    JOIN job AS root ON root.tenant_key = job_root.tenant_key AND root.job_key = job_root.root_key
    JOIN tenant ON tenant.tenant_key = job_root.tenant_key
),
updated_job AS (
    UPDATE job
    SET status = 3 /* Failed */, percentage = 0, last_update_time = now(), end_time = now(),
        root_job_id = explained_job.root_job_id, failure_summary = explained_job.failure_summary
    FROM explained_job
    WHERE job.tenant_key = explained_job.tenant_key AND job.job_key = explained_job.job_key
        AND job.status < 3 /* Failed */
    RETURNING job.tenant_key, job.job_key
),
dropped_message AS (  -- those of paused jobs, because messages of failed jobs are dropped
    DELETE FROM held_message USING updated_job
    WHERE held_message.tenant_key = updated_job.tenant_key AND held_message.job_key = updated_job.job_key
    RETURNING held_message.tenant_key, held_message.job_key
),
drop_count AS (
    SELECT tenant_key, count(*) AS amount, min(job_key) AS job_key
    FROM dropped_message
    GROUP BY tenant_key
)
INSERT INTO dropped_work (tenant_key, kind, reason, amount, job_id)
SELECT drop_count.tenant_key, 'held_message', 'prerequisite_failed', drop_count.amount, job.job_id
FROM drop_count
JOIN job ON job.tenant_key = drop_count.tenant_key AND job.job_key = drop_count.job_key
