-- Whether the schema was ever created, and whether its table of migrations is the tracker's.
SELECT
    to_regclass('tracker.schema_migration') IS NOT NULL,
    (
        SELECT count(*) = 4
        FROM pg_attribute
        WHERE attrelid = to_regclass('tracker.schema_migration')
            AND attname IN ('version', 'name', 'checksum', 'applied_time')
            AND NOT attisdropped
    )
