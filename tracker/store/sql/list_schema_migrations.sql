-- The migrations that the database has had, oldest first.
SELECT version, name, checksum, applied_time
FROM tracker.schema_migration
ORDER BY version
