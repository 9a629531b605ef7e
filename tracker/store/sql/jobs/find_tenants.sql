-- Return the keys of partition IDs.
SELECT partition_id, tenant_key
FROM tenant
WHERE partition_id = ANY (%(partition_ids)b::text[])
