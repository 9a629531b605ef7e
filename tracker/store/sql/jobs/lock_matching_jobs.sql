-- Lock found jobs in key order, those that still match, and return their keys: since they were found, a batch may
-- have completed one, and a retry may have given one another key. The conditions come from tracker.store.conditions.
SELECT job.tenant_key, job.job_key
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS found_job (tenant_key, job_key)
JOIN job ON job.tenant_key = found_job.tenant_key AND job.job_key = found_job.job_key
JOIN tenant ON tenant.tenant_key = job.tenant_key
WHERE {conditions}
ORDER BY job.tenant_key, job.job_key
FOR UPDATE OF job
