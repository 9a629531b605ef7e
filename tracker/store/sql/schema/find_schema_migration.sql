-- Return whether the schema was ever created, and whether its table of migrations has the tracker's columns.
SELECT
    to_regclass('tracker.schema_migration') IS NOT NULL,
    (
        SELECT count(*) = 4
        FROM pg_attribute
        WHERE attrelid = to_regclass('tracker.schema_migration')
            AND attname IN ('version', 'name', 'checksum', 'applied_time')
            AND NOT attisdropped
    )
