-- Record that a migration was applied. The table has the column oldest_program from migration 3 on; before that, it is
-- left out.
INSERT INTO tracker.schema_migration
SELECT (new_row).*
FROM jsonb_populate_record(
    NULL::tracker.schema_migration,
    jsonb_build_object(
        'version', %(version)s::integer,
        'name', %(name)s::text,
        'checksum', %(checksum)s::text,
        'applied_time', now(),
        'oldest_program', %(oldest_program)s::text
    )
) AS new_row
