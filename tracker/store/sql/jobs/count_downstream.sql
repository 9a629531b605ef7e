-- Return how many jobs that have not ended wait for named ones, directly or not. The named ones need not be stored. Rows are
-- counted as they are found, so that the search ends at the limit, which includes the named ones.
WITH RECURSIVE reached_job (tenant_key, job_id, is_named) AS (
    SELECT tenant.tenant_key, named_job.job_id COLLATE "C", true
    FROM unnest(%(partition_ids)b::text[], %(job_ids)b::text[]) AS named_job (partition_id, job_id)
    JOIN tenant ON tenant.partition_id = named_job.partition_id
    UNION  -- not UNION ALL: a diamond is walked once
    SELECT dependent.tenant_key, dependent.job_id, false
    FROM reached_job
    JOIN prerequisite
        ON prerequisite.tenant_key = reached_job.tenant_key
        AND prerequisite.prerequisite_job_id = reached_job.job_id
    JOIN job AS dependent
        ON dependent.tenant_key = prerequisite.tenant_key AND dependent.job_key = prerequisite.job_key
        AND dependent.status < 3 /* Failed */
)
SELECT count(*)
FROM (SELECT is_named FROM reached_job LIMIT %(limit)b) AS first_job
WHERE NOT is_named
