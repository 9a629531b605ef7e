-- Return what is shown of the jobs that match. Conditions, order, and how they are searched for come from
-- tracker.store.conditions.
WITH listed_job AS (
{search}
)
SELECT
    partition_id, job_id, name, description, external_data,
    floor(extract(epoch FROM create_time) * 1000)::bigint,
    floor(extract(epoch FROM last_update_time) * 1000)::bigint,
    status, percentage, failure_summary,
    (
        SELECT jsonb_object_agg(label.label_key, label.label_value)
        FROM label
        WHERE label.tenant_key = listed_job.tenant_key AND label.job_key = listed_job.job_key
    ) AS labels,
    ARRAY(
        SELECT prerequisite.prerequisite_job_id
        FROM prerequisite
        WHERE prerequisite.tenant_key = listed_job.tenant_key AND prerequisite.job_key = listed_job.job_key
        ORDER BY prerequisite.prerequisite_job_id
    ) AS prerequisite_job_ids,
    -- A task with children whose number is not known makes the percentage an estimate. A job may have a million
    -- tasks: only the first 100 rows are read, and that of the job itself before all others.
    status < 5 /* Completed */ AND EXISTS (
        SELECT
        FROM (
            SELECT sibling_tasks.unknown
            FROM sibling_tasks
            WHERE sibling_tasks.tenant_key = listed_job.tenant_key AND sibling_tasks.job_key = listed_job.job_key
            ORDER BY sibling_tasks.path, sibling_tasks.number
            LIMIT 100
        ) AS first_siblings
        WHERE first_siblings.unknown <> 0
    ) AS estimate,
    -- Where the job is in the list.
    (extract(epoch FROM {time}) * 1000000)::bigint AS time_us,
    job_key
FROM listed_job
ORDER BY {order}
