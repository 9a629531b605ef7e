-- Return the named jobs, and, with cascade, the jobs that have failed by propagation from them: those downstream that have
-- the same root. So a job that has failed by itself, or because of another job, ends the search.
WITH RECURSIVE retried_job (tenant_key, job_key, job_id, root_job_id) AS (
    SELECT job.tenant_key, job.job_key, job.job_id, coalesce(job.root_job_id, job.job_id)
    FROM unnest(%(partition_ids)b::text[], %(job_ids)b::text[]) AS named_job (partition_id, job_id)
    JOIN tenant ON tenant.partition_id = named_job.partition_id
    JOIN job ON job.tenant_key = tenant.tenant_key AND job.job_id = named_job.job_id
    UNION
    SELECT dependent.tenant_key, dependent.job_key, dependent.job_id, retried_job.root_job_id
    FROM retried_job
    JOIN prerequisite
        ON prerequisite.tenant_key = retried_job.tenant_key
        AND prerequisite.prerequisite_job_id = retried_job.job_id
    JOIN job AS dependent
        ON dependent.tenant_key = prerequisite.tenant_key AND dependent.job_key = prerequisite.job_key
        AND dependent.status = 3 /* Failed */ AND dependent.root_job_id = retried_job.root_job_id
    WHERE %(cascade)b::boolean
)
SELECT DISTINCT tenant_key, job_key FROM retried_job
