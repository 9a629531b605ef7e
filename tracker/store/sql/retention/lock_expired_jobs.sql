-- Lock those of the jobs that are still to be removed, in key order. A job that another transaction has locked is
-- skipped: the next sweep finds it again.
SELECT job.tenant_key, job.job_key
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS found_job (tenant_key, job_key)
JOIN job ON job.tenant_key = found_job.tenant_key AND job.job_key = found_job.job_key
WHERE job.last_update_time < now() - make_interval(secs => CASE
    WHEN job.status = 3 /* Failed */ THEN %(failed_s)b::bigint
    WHEN job.status IN (4 /* Cancelled */, 5 /* Completed */) THEN %(ended_s)b::bigint
END)
ORDER BY job.tenant_key, job.job_key
FOR UPDATE OF job SKIP LOCKED
