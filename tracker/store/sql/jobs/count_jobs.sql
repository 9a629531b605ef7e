-- Return how many jobs match. The conditions come from tracker.store.conditions.
SELECT count(*)
FROM tenant
JOIN job ON job.tenant_key = tenant.tenant_key
    AND {conditions}
