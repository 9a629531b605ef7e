-- Give a key to each partition ID that has none: in order, so that two calls at once wait and do not deadlock; and
-- only to the missing ones, because each attempt uses up a key.
INSERT INTO tenant (partition_id)
SELECT wanted_tenant.partition_id
FROM unnest(%(partition_ids)b::text[]) AS wanted_tenant (partition_id)
WHERE NOT EXISTS (SELECT FROM tenant WHERE tenant.partition_id = wanted_tenant.partition_id)
ORDER BY wanted_tenant.partition_id
ON CONFLICT (partition_id) DO NOTHING
