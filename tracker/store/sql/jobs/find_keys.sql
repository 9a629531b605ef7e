-- Return the keys and names of jobs that match, and when they were created. Conditions, order, and how they are
-- searched for come from tracker.store.conditions.
WITH found_job AS (
{search}
)
SELECT tenant_key, job_key, partition_id, job_id, (extract(epoch FROM create_time) * 1000000)::bigint
FROM found_job
ORDER BY {order}
