-- Return all partition IDs, and whether they are suspended.
SELECT partition_id, suspended
FROM tenant
ORDER BY partition_id
