-- Return the named jobs, and all downstream of them that have not ended, each once. A named job that has failed or completed is
-- not cancelled, and so nothing downstream of it is.
WITH RECURSIVE cancelled_job (tenant_key, job_key, job_id, stays) AS (
    SELECT job.tenant_key, job.job_key, job.job_id, job.status IN (3 /* Failed */, 5 /* Completed */)
    FROM unnest(%(partition_ids)b::text[], %(job_ids)b::text[]) AS named_job (partition_id, job_id)
    JOIN tenant ON tenant.partition_id = named_job.partition_id
    JOIN job ON job.tenant_key = tenant.tenant_key AND job.job_id = named_job.job_id
    UNION  -- not UNION ALL: a diamond is walked once
    SELECT dependent.tenant_key, dependent.job_key, dependent.job_id, false
    FROM cancelled_job
    JOIN prerequisite
        ON prerequisite.tenant_key = cancelled_job.tenant_key
        AND prerequisite.prerequisite_job_id = cancelled_job.job_id
    JOIN job AS dependent
        ON dependent.tenant_key = prerequisite.tenant_key AND dependent.job_key = prerequisite.job_key
        AND dependent.status < 3 /* Failed */
    WHERE NOT cancelled_job.stays
)
SELECT tenant_key, job_key FROM cancelled_job
