-- Return the migrations that were applied to the database, oldest first. The column oldest_program exists from
-- migration 3 on.
SELECT version, name, checksum, applied_time, to_jsonb(schema_migration) ->> 'oldest_program' AS oldest_program
FROM tracker.schema_migration
ORDER BY version
