-- Whether the schema was ever created; null if not.
SELECT to_regclass('tracker.schema_migration')
