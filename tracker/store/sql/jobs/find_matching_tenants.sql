-- Return the keys of the tenants of which jobs can match. The conditions come from tracker.store.conditions.
SELECT tenant.tenant_key
FROM tenant
WHERE {conditions}
ORDER BY tenant.tenant_key
