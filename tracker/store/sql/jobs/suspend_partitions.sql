-- Suspend or resume partition IDs that have a key, in order, and return those whose state changes.
UPDATE tenant SET suspended = %(suspended)s
FROM (
    SELECT tenant_key
    FROM tenant
    WHERE partition_id = ANY (%(partition_ids)b::text[]) AND suspended <> %(suspended)s
    ORDER BY tenant_key
    FOR NO KEY UPDATE
) AS changed_tenant
WHERE tenant.tenant_key = changed_tenant.tenant_key
RETURNING tenant.partition_id
