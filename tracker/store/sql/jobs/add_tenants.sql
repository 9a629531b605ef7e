-- Gives a key to each partition ID that has none. In order, so that two calls at once wait, not deadlock;
-- only the missing ones, since each attempt uses up a key.
INSERT INTO tenant (partition_id)
SELECT wanted_tenant.partition_id
FROM unnest(%(partition_ids)b::text[]) AS wanted_tenant (partition_id)
WHERE NOT EXISTS (SELECT FROM tenant WHERE tenant.partition_id = wanted_tenant.partition_id)
ORDER BY wanted_tenant.partition_id
ON CONFLICT (partition_id) DO NOTHING
