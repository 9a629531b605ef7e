-- Return the keys and names of some jobs that match, in no order, so that any index may lead to them. The conditions come
-- from tracker.store.conditions.
SELECT job.tenant_key, job.job_key, tenant.partition_id, job.job_id
FROM tenant
JOIN job ON job.tenant_key = tenant.tenant_key
    AND {conditions}
LIMIT %(limit)s
